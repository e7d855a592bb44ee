#include "models/registry.h"

#include <fmt/ranges.h>

#include <charconv>
#include <limits>

#include "kernels/check.h"
#include "models/logistic.h"
#include "models/mlp.h"

namespace understudy {
namespace {

using Widths = std::vector<std::int64_t>;

// A kind of model. `sizes` completes a request to every width, inputs first and classes last;
// `build` makes the network from them. describe() is "<name> <widths joined by ->".
struct Entry {
  const char* name;
  Widths (*sizes)(std::int64_t inputs, const ModelRequest& request);
  std::unique_ptr<Model> (*build)(const Widths& widths, Generator& generator);
};

Widths mlp_sizes(std::int64_t inputs, const ModelRequest& request) {
  Widths widths = base_mlp_widths;
  if (!request.hidden.empty()) {
    widths = request.hidden;
    widths.insert(widths.begin(), inputs);
    widths.push_back(request.classes);
  }
  widths.front() = inputs;
  widths.back() = request.classes;
  return widths;
}

std::unique_ptr<Model> build_mlp(const Widths& widths, Generator& generator) {
  return std::make_unique<Mlp>(widths, generator);
}

Widths logistic_sizes(std::int64_t inputs, const ModelRequest& request) {
  if (!request.hidden.empty())
    throw UsageError(fmt::format("[logistic] hidden widths {}: this model has none; \"mlp\" has",
                                 fmt::join(request.hidden, ",")));
  return {inputs, request.classes};
}

std::unique_ptr<Model> build_logistic(const Widths& widths, Generator& generator) {
  if (widths.size() != 2)
    throw UsageError(fmt::format("[logistic] sizes {}: the inputs and the classes expected",
                                 fmt::join(widths, "-")));
  return std::make_unique<Logistic>(widths[0], widths[1], generator);
}

constexpr Entry entries[] = {
    {"mlp", mlp_sizes, build_mlp},
    {"logistic", logistic_sizes, build_logistic},
};

const Entry& find_entry(const std::string& name) {
  for (const Entry& entry : entries)
    if (name == entry.name) return entry;
  throw UsageError(
      fmt::format("unknown model \"{}\"; there are: {}", name, fmt::join(model_names(), ", ")));
}

struct Description {
  const Entry& entry;
  Widths widths;
};

Description parse_description(const std::string& text) {
  const std::size_t space = text.find(' ');
  const Entry& entry = find_entry(text.substr(0, space));
  return {entry, parse_widths(space == std::string::npos ? "" : text.substr(space + 1), '-')};
}

}  // namespace

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const Entry& entry : entries) names.push_back(entry.name);
  return names;
}

std::unique_ptr<Model> make_model(const ModelRequest& request, Generator& generator) {
  const Entry& entry = find_entry(request.name);
  if (request.classes < 1)
    throw UsageError(
        fmt::format("[{}] {} classes: must be at least 1", request.name, request.classes));
  return entry.build(entry.sizes(request.input.count(), request), generator);
}

std::unique_ptr<Model> make_model(const std::string& description, Generator& generator) {
  const auto [entry, widths] = parse_description(description);
  return entry.build(widths, generator);
}

std::unique_ptr<Model> make_model(const std::string& description) {
  Generator generator(0);
  return make_model(description, generator);
}

std::int64_t described_size(const std::string& description) {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  const Widths widths = parse_description(description).widths;
  std::int64_t size = 0;
  for (std::size_t i = 0; i + 1 < widths.size(); ++i) {
    const std::int64_t out = widths[i + 1];
    // The layer has (widths[i] + 1) · out elements.
    if (widths[i] > most / out - 1 || size > most - (widths[i] + 1) * out) return most;
    size += (widths[i] + 1) * out;
  }
  return size;
}

std::vector<std::int64_t> parse_widths(const std::string& text, char separator) {
  std::vector<std::int64_t> widths;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    std::int64_t width = 0;
    const auto [next, error] = std::from_chars(at, end, width);
    const bool more = next != end && *next == separator && next + 1 != end;
    if (error != std::errc() || width < 1 || (next != end && !more))
      throw UsageError(
          fmt::format("widths \"{}\": whole numbers of at least 1 expected, with '{}' between them",
                      text, separator));
    widths.push_back(width);
    at = more ? next + 1 : next;
  }
  return widths;
}

}  // namespace understudy
