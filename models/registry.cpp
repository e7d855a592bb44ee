#include "models/registry.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <limits>

#include "kernels/check.h"
#include "models/logistic.h"
#include "models/mlp.h"
#include "models/resnet.h"

namespace understudy {
namespace {

using Widths = std::vector<std::int64_t>;

// What a description says after the name.
struct Sizes {
  Widths widths;  // inputs first, classes last
  bool batch_norm = true;
};

// Adds up products of sizes from a text; the largest integer once it overflows.
class Count {
 public:
  void add(std::initializer_list<std::int64_t> factors) {
    std::int64_t product = 1;
    for (const std::int64_t factor : factors)
      if (__builtin_mul_overflow(product, factor, &product)) product = most;
    if (product == most || __builtin_add_overflow(total_, product, &total_)) total_ = most;
  }
  std::int64_t total() const { return total_; }

 private:
  static constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  std::int64_t total_ = 0;
};

// A kind of model. `complete` makes every width from a request; `build` makes the network from
// them; `size` counts the elements of its state dict. describe() is "<name> <widths joined by ->",
// and " no-batch-norm" for a network that could have it.
struct Entry {
  const char* name;
  bool has_batch_norm;
  Widths (*complete)(const ModelRequest& request);
  std::unique_ptr<Model> (*build)(const Sizes& sizes, Generator& generator);
  std::int64_t (*size)(const Sizes& sizes);
};

// UsageError for an option of other models.
void refuse_hidden(const ModelRequest& request) {
  if (!request.hidden.empty())
    throw UsageError(fmt::format("[{}] hidden widths {}: this model has none; \"mlp\" has",
                                 request.name, fmt::join(request.hidden, ",")));
}
void refuse_stages(const ModelRequest& request) {
  if (request.width != 0)
    throw UsageError(fmt::format("[{}] width {}: this model has no stages; \"resnet18\" has",
                                 request.name, request.width));
  if (!request.batch_norm)
    throw UsageError(
        fmt::format("[{}] no batch norm: this model never has it; \"resnet18\" has", request.name));
}

std::int64_t dense_size(const Sizes& sizes) {
  Count count;
  for (std::size_t i = 0; i + 1 < sizes.widths.size(); ++i) {
    count.add({sizes.widths[i], sizes.widths[i + 1]});
    count.add({sizes.widths[i + 1]});
  }
  return count.total();
}

Widths complete_mlp(const ModelRequest& request) {
  refuse_stages(request);
  Widths widths = base_mlp_widths;
  if (!request.hidden.empty()) {
    widths = request.hidden;
    widths.insert(widths.begin(), 0);
    widths.push_back(0);
  }
  widths.front() = request.input.count();
  widths.back() = request.classes;
  return widths;
}

std::unique_ptr<Model> build_mlp(const Sizes& sizes, Generator& generator) {
  return std::make_unique<Mlp>(sizes.widths, generator);
}

Widths complete_logistic(const ModelRequest& request) {
  refuse_stages(request);
  refuse_hidden(request);
  return {request.input.count(), request.classes};
}

std::unique_ptr<Model> build_logistic(const Sizes& sizes, Generator& generator) {
  if (sizes.widths.size() != 2)
    throw UsageError(fmt::format("[logistic] sizes {}: the inputs and the classes expected",
                                 fmt::join(sizes.widths, "-")));
  return std::make_unique<Logistic>(sizes.widths[0], sizes.widths[1], generator);
}

Widths complete_resnet18(const ModelRequest& request) {
  refuse_hidden(request);
  return resnet18_widths(request.input, request.width == 0 ? 64 : request.width, request.classes);
}

std::unique_ptr<Model> build_resnet18(const Sizes& sizes, Generator& generator) {
  return std::make_unique<ResNet18>(sizes.widths, sizes.batch_norm, generator);
}

std::int64_t resnet18_size(const Sizes& sizes) {
  Count count;
  const auto convolution = [&](std::int64_t in, std::int64_t out, std::int64_t window) {
    count.add({in, out, window, window});
    if (!sizes.batch_norm) return count.add({out});  // the bias
    count.add({4, out});                             // weight, bias, running mean and variance
    count.add({1});                                  // and how many batches they have seen
  };
  const Widths& widths = sizes.widths;
  if (widths.size() < 3) return 0;
  convolution(widths[0], widths[1], 3);
  for (std::size_t stage = 1; stage + 1 < widths.size(); ++stage) {
    const std::int64_t in = widths[std::max<std::size_t>(stage - 1, 1)], out = widths[stage];
    convolution(in, out, 3);
    for (int i = 0; i < 3; ++i) convolution(out, out, 3);
    if (stage > 1) convolution(in, out, 1);
  }
  count.add({widths[widths.size() - 2], widths.back()});
  count.add({widths.back()});
  return count.total();
}

constexpr Entry entries[] = {
    {"mlp", false, complete_mlp, build_mlp, dense_size},
    {"logistic", false, complete_logistic, build_logistic, dense_size},
    {"resnet18", true, complete_resnet18, build_resnet18, resnet18_size},
};

const Entry& find_entry(const std::string& name) {
  for (const Entry& entry : entries)
    if (name == entry.name) return entry;
  throw UsageError(
      fmt::format("unknown model \"{}\"; there are: {}", name, fmt::join(model_names(), ", ")));
}

struct Description {
  const Entry& entry;
  Sizes sizes;
};

Description parse_description(const std::string& text) {
  const std::size_t space = text.find(' ');
  const Entry& entry = find_entry(text.substr(0, space));
  std::string widths = space == std::string::npos ? "" : text.substr(space + 1);
  const std::string without = " no-batch-norm";
  const bool batch_norm = !entry.has_batch_norm || !widths.ends_with(without);
  if (!batch_norm) widths.resize(widths.size() - without.size());
  return {entry, {parse_widths(widths, '-'), batch_norm}};
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
  return entry.build({entry.complete(request), request.batch_norm}, generator);
}

std::unique_ptr<Model> make_model(const std::string& description, Generator& generator) {
  const auto [entry, sizes] = parse_description(description);
  return entry.build(sizes, generator);
}

std::unique_ptr<Model> make_model(const std::string& description) {
  Generator generator(0);
  return make_model(description, generator);
}

std::int64_t described_size(const std::string& description) {
  const auto [entry, sizes] = parse_description(description);
  return entry.size(sizes);
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
