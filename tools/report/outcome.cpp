#include <cmath>

#include "kernels/check.h"
#include "tools/report/experiment.h"
#include "tools/report/results.h"
#include "tools/report/results_file.h"

namespace understudy::report {
namespace {

constexpr std::int64_t most_units = 1000;  // of a group, as elsewhere in the report

double bin_count(const Fields& bin) {
  return static_cast<double>(bin.whole("count", 0, std::int64_t{1} << 53));
}

}  // namespace

std::string metric_name(const std::string& key) {
  return key.starts_with("test_") ? key.substr(5) : key;
}

std::optional<double> Outcome::value(const std::string& key) const {
  const auto at = values.find(key);
  return at == values.end() ? std::nullopt : std::optional(at->second);
}

void read_values(const Fields& fields, Outcome& outcome) {
  // A program's own words, such as its "cost" or its "settings", are passed over.
  for (const auto& [key, value] : fields.members().items()) {
    std::optional<double> number;
    if (key.find("accuracy") != key.npos)
      number = fields.optional_fraction(key.c_str());
    else if (value.is_number())
      number = fields.number(key.c_str());
    if (number) outcome.values[metric_name(key)] = *number;
  }
  for (const char* key : {"encode_us", "decode_us", "encode_multiply_adds", "base_multiply_adds",
                          "extra_machines_percent"})
    if (const auto number = fields.number(key))
      check(*number >= 0, "{}: \"{}\": expected zero or more, found {}", fields.place(), key,
            *number);
  if (const auto at = fields.members().find("learned");
      at != fields.members().end() && at->is_boolean())
    outcome.learned = at->get<bool>();
  for (const Fields& bin : fields.objects("calibration"))
    outcome.calibration.push_back({bin.optional_fraction("confidence").value_or(0),
                                   bin.optional_fraction("accuracy").value_or(0), bin_count(bin)});
  for (const Fields& kept : fields.objects("declining")) {
    const double share = kept.fraction("share");
    if (const auto accuracy = kept.optional_fraction("accuracy"))
      outcome.declining.push_back({share, *accuracy});
  }
}

std::optional<Experiment> compared_codes(const Run& run) {
  if (run.program() != "compare_codes" || !run.finished) return std::nullopt;
  const Fields result(run.result, (run.folder / "result.json").string());
  Experiment experiment{.name = run.name,
                        .title = "Codes compared: " + run.name,
                        .commands = {text(run.header, "command").value_or("not recorded")}};
  const auto data = run.header.find("dataset");
  std::string model;
  if (data != run.header.end() && data->is_object() && data->contains("base"))
    model = text((*data)["base"], "model").value_or("");
  const std::vector<Fields> rows = result.objects("rows");
  check(!rows.empty(), "{}: expected an array \"rows\" with one object per code, found none",
        result.place());
  for (const Fields& row : rows) {
    // Trained codes may share a name: the folder tells them apart.
    const std::string folder = row.text_or("trained", "");
    Outcome outcome{.setting = row.text("code") + " " + folder,
                    .dataset = data == run.header.end() ? "" : text(*data, "name").value_or(""),
                    .base = model.substr(0, model.find(' ')),
                    .base_model = model,
                    .code = row.text("code") + (folder.empty() ? "" : ", " + folder),
                    .encoder = row.text_or("encoder", ""),
                    .loss = row.text_or("loss", ""),
                    .channels = row.text_or("channels", ""),
                    .k = static_cast<int>(row.whole("k", 1, most_units)),
                    .r = static_cast<int>(row.whole("r", 0, most_units)),
                    .commit = text(run.header, "commit").value_or(""),
                    .device = text(run.header, "device").value_or(""),
                    .instruction_set = text(run.header, "instruction_set").value_or(""),
                    .place = row.place()};
    read_values(row, outcome);
    for (const char* key : {"k", "r"}) outcome.values.erase(key);
    experiment.outcomes.push_back(std::move(outcome));
  }
  return experiment;
}

}  // namespace understudy::report
