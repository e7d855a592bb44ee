#include <fmt/format.h>

#include <cmath>

#include "kernels/check.h"
#include "tools/report/markup.h"
#include "tools/report/results.h"
#include "tools/report/settings.h"

namespace understudy::report {
namespace {

std::string result_file(const Run& run) { return (run.folder / "result.json").string(); }

double needed(const Run& run, const char* key) {
  const auto value = number(run, key);
  check(value.has_value(), "{}: expected a number \"{}\", found none", result_file(run), key);
  return *value;
}

int small_count(const Run& run, const char* key, int low) {
  const double value = needed(run, key);
  check(value >= low && value <= 1000 && value == std::floor(value),
        "{}: \"{}\" is {}, expected a whole number from {} to 1000", result_file(run), key, value,
        low);
  return static_cast<int>(value);
}

std::string code_name(const Run& run) {
  // result.json has another "code", a description of it.
  const auto settings = run.header.find("settings");
  const std::string code =
      settings == run.header.end() ? "" : text(*settings, "code").value_or("learned");
  const std::string name =
      code == "learned" || code.empty()
          ? fmt::format("{}, {} loss",
                        written_encoder(text(run, "encoder").value_or("learned code")),
                        written_loss(text(run, "loss").value_or("unknown")))
          : written_code({.code = code});
  return fmt::format("{}, k\u00a0=\u00a0{}, r\u00a0=\u00a0{}", name, small_count(run, "k", 1),
                     small_count(run, "r", 1));
}

// train_code describes the model that it protects beside the data.
std::string base_model(const Run& run) {
  const auto data = run.header.find("dataset");
  if (data == run.header.end() || !data->is_object() || !data->contains("base")) return "";
  return text((*data)["base"], "model").value_or("");
}

}  // namespace

std::string describe(const Run& run) {
  const std::string program = run.program();
  if (program == "train_classifier")
    return fmt::format("{}: {} on {}", run.name, text(run, "model").value_or("classifier"),
                       dataset_name(run));
  if (program == "train_code" && number(run, "k") && number(run, "r"))
    return fmt::format("{}: {}", run.name, code_name(run));
  return run.name;
}

std::vector<CodeResult> code_results(const std::vector<Run>& runs) {
  std::vector<CodeResult> results;
  for (const Run& run : runs) {
    if (run.program() != "train_code" || !run.finished) continue;
    CodeResult result;
    result.k = small_count(run, "k", 1);
    result.r = small_count(run, "r", 1);
    needed(run, "test_accuracy");
    result.available = *fraction(run, "test_accuracy");
    result.overall = fraction(run, "test_overall_accuracy");
    result.recovery = fraction(run, "test_recovery_accuracy");
    result.guessed = fraction(run, "no_code_accuracy");
    result.encode_us = number(run, "encode_us");
    result.decode_us = number(run, "decode_us");
    result.name = code_name(run);
    const std::string model = base_model(run);
    result.base = fmt::format("{}{} on {}, right {} of the time", model.empty() ? "" : "Model ",
                              model.empty() ? "A model" : model, dataset_name(run),
                              percent(result.available));
    results.push_back(std::move(result));
  }
  return results;
}

double accuracy_with_late(double available, double degraded, double late) {
  return (1 - late) * available + late * degraded;
}

std::string extra_machines(int k, int r) { return fmt::format("{:.3g} %", 100.0 * r / k); }

const CodeResult* best_code(const std::vector<CodeResult>& results) {
  const CodeResult* best = nullptr;
  for (const CodeResult& code : results)
    if (code.overall && (!best || *code.overall > *best->overall)) best = &code;
  return best;
}

std::string meaning(const std::vector<CodeResult>& results) {
  const CodeResult* best = best_code(results);
  if (!best) return "";
  return fmt::format(
      "While every machine answers, the model is right {} of the time; when one of the {} answers "
      "of a group is lost, it is worked out from the others and is right {} of the time. That "
      "takes {} more machines, where asking everything twice takes 100 % more.",
      percent(best->available, 1), best->k, percent(best->overall, 1),
      extra_machines(best->k, best->r));
}

}  // namespace understudy::report
