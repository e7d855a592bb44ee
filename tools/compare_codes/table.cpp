#include "tools/compare_codes/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace understudy {
namespace {

using nlohmann::json;

double percent(const json& row, const char* key) { return 100 * row.at(key).get<double>(); }

// Multiply-adds of encoding one group over those of one answer of the model; "–" where the model's
// cannot be counted.
std::string arithmetic(const json& row) {
  if (!row.contains("base_multiply_adds")) return "–";
  return fmt::format("{:.3g}", row.at("encode_multiply_adds").get<double>() /
                                   row.at("base_multiply_adds").get<double>());
}

std::string label(const json& row) {
  const std::string code = row.at("code");
  return row.contains("trained") ? fmt::format("{} [{}]", code, row["trained"].get<std::string>())
                                 : code;
}

// Pads by characters, not bytes.
std::string right(const std::string& text, std::size_t width) {
  const auto length = static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
  return std::string(length < width ? width - length : 0, ' ') + text;
}

void print_row(const json& row, std::size_t width) {
  fmt::print(
      "{:<{}}{:>3}{:>3}{:>9.2f}{:>9.2f}{:>10.2f}{:>9.2f}{:>10.3g}{:>9.0f}{}{:>9.1f}{:>9.1f}\n",
      label(row), width, row.at("k").get<int>(), row.at("r").get<int>(),
      percent(row, "test_accuracy"), percent(row, "test_overall_accuracy"),
      percent(row, "test_recovery_accuracy"), percent(row, "test_group_accuracy"),
      row.at("test_squared_error").get<double>(), row.at("extra_machines_percent").get<double>(),
      right(arithmetic(row), 9), row.at("encode_us").get<double>(),
      row.at("decode_us").get<double>());
}

void print_wrong_answers(const json& rows) {
  fmt::print(
      "\nWorkers that answer noise, nobody missing; accuracy in % of all answers:\n"
      "{:<16}{:>3}{:>4}{:>8}{:>8}{:>14}{:>16}{:>18}\n",
      "code", "k", "r", "wrong", "found", "nobody wrong", "looked for", "not looked for");
  for (const json& row : rows)
    fmt::print("{:<16}{:>3}{:>4}{:>8}{:>8.1f}{:>14.2f}{:>16.2f}{:>18.2f}\n",
               row.at("code").get<std::string>(), row.at("k").get<int>(), row.at("r").get<int>(),
               row.at("wrong").get<int>(), percent(row, "found"),
               percent(row, "accuracy_nobody_wrong"), percent(row, "accuracy_located"),
               percent(row, "accuracy_not_located"));
}

}  // namespace

void print_comparison(const json& result) {
  std::size_t width = 24;
  for (const json& row : result.at("rows")) width = std::max(width, label(row).size() + 1);
  fmt::print("{:<{}}{:>9}{:>9}{:>10}{:>9}{:>10}{:>9}{:>9}{:>9}{:>9}\n", "", width + 6, "all",
             "rebuilt", "", "one", "logits'", "extra", "encoder", "encode", "decode");
  fmt::print("{:<{}}{:>3}{:>3}{:>9}{:>9}{:>10}{:>9}{:>10}{:>9}{:>9}{}{}\n", "code", width, "k", "r",
             "answer", "right", "recovered", "missing", "error", "machines", "/ model",
             right("µs", 9), right("µs", 9));
  // The best at each price for users who see all answers; replication loses nothing anyway.
  std::map<double, const json*> best;
  for (const json& row : result.at("rows")) {
    print_row(row, width);
    if (row.at("code") == "replication" || row.at("r") == 0) continue;
    const json*& leader = best[row.at("extra_machines_percent").get<double>()];
    const char* key = "test_group_accuracy";
    if (!leader || leader->at(key).get<double>() < row.at(key).get<double>()) leader = &row;
  }
  fmt::print(
      "\nAccuracies and shares in %. All answer: when nobody is late. Rebuilt right: accuracy of "
      "the "
      "answers that were worked\nout from others, over every pattern of up to r machines that do "
      "not "
      "answer; recovered: how often they name the\nclass that the model would have named. One "
      "missing: accuracy of all answers of a group when one of its machines is\nlate; a code that "
      "is "
      "not systematic (berrut, spline) then rebuilds all of them, others one at most. Logits' "
      "error:\n"
      "squared, summed over the classes. Encoder / model: multiply-adds to encode a group over "
      "those "
      "of one answer.\n\n");
  if (!result.at("wrong_answers").empty()) print_wrong_answers(result["wrong_answers"]);
  for (const auto& [extra, row] : best)
    fmt::print("best at {:.1f} % extra machines, one missing: {}, k = {}, r = {}: {:.2f} %\n",
               extra, label(*row), row->at("k").get<int>(), row->at("r").get<int>(),
               percent(*row, "test_group_accuracy"));
}

}  // namespace understudy
