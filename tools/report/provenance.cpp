#include <fmt/format.h>

#include "kernels/check.h"
#include "tools/report/markup.h"
#include "tools/report/results.h"

namespace understudy::report {
namespace {

using nlohmann::json;

// Strings as they are, numbers and the rest as JSON; an en dash when there is none.
std::string value_of(const json& object, const char* key) {
  const auto at = object.find(key);
  if (at == object.end() || at->is_null()) return "–";
  return at->is_string() ? at->get<std::string>()
                         : at->dump(-1, ' ', false, json::error_handler_t::replace);
}

// The first digits of each checksum: enough to tell data sets apart.
std::string checksum(const json& dataset) {
  constexpr std::size_t digits = 12;
  const auto at = dataset.find("sha256");
  if (at == dataset.end()) return "";
  if (at->is_string()) return at->get<std::string>().substr(0, digits);
  std::string out;
  if (at->is_object())
    for (const auto& [name, value] : at->items())
      if (value.is_string())
        out += fmt::format("{}{} {}", out.empty() ? "" : ", ", name,
                           value.get<std::string>().substr(0, digits));
  return out;
}

// Whether the data are only a part of the published set.
bool is_sample(const json& dataset) {
  const auto at = dataset.find("sample");
  return at != dataset.end() && at->is_boolean() && at->get<bool>();
}

std::string describe_data(const json& dataset) {
  if (!dataset.is_object()) return "–";
  std::string out = written_name(text(dataset, "name").value_or(""));
  const auto train = number(dataset, "train"), test = number(dataset, "test");
  if (train && test)
    out += fmt::format(", {} + {}", grouped(static_cast<long long>(*train)),
                       grouped(static_cast<long long>(*test)));
  if (is_sample(dataset)) out += " (a sample)";
  if (const std::string sum = checksum(dataset); !sum.empty())
    out += fmt::format("{}SHA-256 {}", out.empty() ? "" : "; ", sum);
  return out.empty() ? "–" : out;
}

std::string describe_all_data(const json& header) {
  const auto at = header.find("dataset");
  if (at == header.end()) return "–";
  if (at->is_object() && (at->contains("name") || at->contains("sha256")))
    return describe_data(*at);
  std::string out;  // several sets, in an array or by their roles
  for (const auto& [role, dataset] : at->items())
    out += (out.empty() ? "" : " · ") + describe_data(dataset);
  return out.empty() ? "–" : out;
}

}  // namespace

std::optional<double> fraction(const Run& run, const char* key) {
  const auto value = number(run, key);
  check(!value || (*value >= 0 && *value <= 1), "{}: \"{}\" is {}, expected a fraction from 0 to 1",
        (run.folder / "result.json").string(), key, value.value_or(0));
  return value;
}

std::string written_name(const std::string& dataset) {
  constexpr std::pair<const char*, const char*> written[] = {
      {"mnist", "MNIST"},
      {"fashion-mnist", "Fashion-MNIST"},
      {"cifar-10", "CIFAR-10"},
      {"cifar-10-grey28", "CIFAR-10 in grey, 28×28"}};
  for (const auto& [name, text] : written)
    if (dataset == name) return text;
  // Forms of a set (datasets/forms.h) have its name and what was made of it.
  constexpr std::pair<const char*, const char*> forms[] = {{"-rgb32", "in 3×32×32"},
                                                           {"-rotated", "turned"}};
  for (const auto& [suffix, text] : forms)
    if (dataset.ends_with(suffix))
      return written_name(dataset.substr(0, dataset.size() - std::string_view(suffix).size())) +
             " " + text;
  return dataset;
}

std::string dataset_name(const Run& run) {
  const auto at = run.header.find("dataset");
  if (at == run.header.end()) return "unknown data";
  std::string out;
  const auto add = [&](const json& dataset) {
    if (const auto name = text(dataset, "name"))
      out += fmt::format("{}{}{}", out.empty() ? "" : " and ", written_name(*name),
                         is_sample(dataset) ? " (a sample)" : "");
  };
  if (at->is_array())
    for (const json& dataset : *at) add(dataset);
  else
    add(*at);
  return out.empty() ? "unknown data" : out;
}

Table classifier_table(const std::vector<Run>& runs) {
  Table table{"Classifiers",
              {{"Run", "", false, ""},
               {"Model", "", false, ""},
               {"Data", "", false, ""},
               {"Accuracy", "on the test set", true, ""},
               {"Epochs", "", true, ""},
               {"Time", "", true, ""}},
              {},
              {}};
  Section section;
  for (const Run& run : runs) {
    if (run.program() != "train_classifier" || !run.finished) continue;
    section.rows.push_back({{run.name, text(run, "model").value_or("–"), dataset_name(run),
                             percent(fraction(run, "test_accuracy")),
                             run.epochs.empty() ? "–" : std::to_string(run.epochs.size()),
                             elapsed(number(run, "seconds"))},
                            false});
  }
  if (!section.rows.empty()) table.sections.push_back(std::move(section));
  return table;
}

Table provenance_table(const std::vector<Run>& runs) {
  Table table{"How each run was made",
              {{"Run", "", false, ""},
               {"Program", "", false, ""},
               {"Version", "commit", false, ""},
               {"Compiler", "", false, ""},
               {"Instruction set", "device", false, ""},
               {"Threads", "", true, ""},
               {"Seed", "", true, ""},
               {"Data", "name, training + test images, checksum", false, ""},
               {"Time", "", true, ""}},
              {},
              {"Same program, thread count and instruction set: the same bits, every time."}};
  Section section;
  for (const Run& run : runs) {
    const json& h = run.header;
    section.rows.push_back(
        {{run.name, run.program(),
          fmt::format("{}, {}", value_of(h, "version"), value_of(h, "commit")),
          value_of(h, "compiler"),
          fmt::format("{}, {}", value_of(h, "instruction_set"), value_of(h, "device")),
          value_of(h, "threads"), value_of(h, "seed"), describe_all_data(h),
          run.finished ? elapsed(number(run, "seconds")) : "not finished"},
         false});
  }
  if (!section.rows.empty()) table.sections.push_back(std::move(section));
  return table;
}

}  // namespace understudy::report
