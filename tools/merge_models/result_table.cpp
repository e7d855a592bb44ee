#include "tools/merge_models/result_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace understudy {
namespace {

using nlohmann::json;

std::string megabytes(const json& bytes) {
  return fmt::format("{:.1f} MB", bytes.get<double>() / 1e6);
}

std::string label(const json& row) { return row.at("label").get<std::string>(); }

// A table whose columns are as wide as what is in them; the first is flush left.
void print_columns(const std::vector<std::vector<std::string>>& lines) {
  std::vector<std::size_t> widths;
  for (const auto& line : lines)
    for (std::size_t c = 0; c < line.size(); ++c) {
      if (c == widths.size()) widths.push_back(0);
      widths[c] = std::max(widths[c], line[c].size());
    }
  for (const auto& line : lines) {
    for (std::size_t c = 0; c < line.size(); ++c)
      fmt::print("{}{:{}}", c == 0 ? "" : "  ",
                 c == 0 ? line[c] : std::string(widths[c] - line[c].size(), ' ') + line[c],
                 c == 0 ? widths[c] : 0);
    fmt::print("\n");
  }
}

void print_scores(const json& result) {
  std::vector<std::string> head = {"method", "needs",      "seconds",
                                   "memory", "normalised", "recovered"};
  std::vector<std::string> all = {"(all answer)", "", "", "", "", ""};
  for (const auto& task : result.at("tasks")) {
    head.push_back("late: " + task.at("dataset").get<std::string>());
    all.push_back(fmt::format("{:.2f} %", 100 * task.at("base_accuracy").get<double>()));
  }
  std::vector<std::vector<std::string>> lines = {head, all};
  for (const auto& row : result.at("rows")) {
    lines.push_back({label(row), row.at("needs").get<std::string>(),
                     fmt::format("{:.2f}", row.at("seconds").get<double>()),
                     megabytes(row.at("peak_bytes")),
                     fmt::format("{:.1f} %", row.at("normalised_decoding_accuracy").get<double>()),
                     fmt::format("{:.2f} %", 100 * row.at("recovery_accuracy").get<double>())});
    for (const auto& task : row.at("tasks"))
      lines.back().push_back(
          fmt::format("{:.2f} %", 100 * task.at("decoded_accuracy").get<double>()));
  }
  fmt::print("{}\n\n", result.at("definition").get<std::string>());
  print_columns(lines);
}

void print_late_sets(const json& result) {
  std::vector<std::vector<std::string>> lines = {
      {"method", "late", "normalised", "recovered", "errors grow by", "condition"}};
  for (const auto& row : result.at("rows"))
    for (const auto& late : row.at("by_late"))
      lines.push_back(
          {label(row), std::to_string(late.at("late").get<int>()),
           fmt::format("{:.1f} %", late.at("normalised_decoding_accuracy").get<double>()),
           fmt::format("{:.2f} %", 100 * late.at("recovery_accuracy").get<double>()),
           fmt::format("{:.3g}", late.at("worst_amplification").get<double>()),
           fmt::format("{:.3g}", late.at("worst_condition").get<double>())});
  fmt::print("\nevery set of so many late models, decoded from as many coded ones as there are:\n");
  print_columns(lines);
}

}  // namespace

void print_result(const json& result) {
  if (!result.contains("best_method")) {
    for (const auto& row : result.at("rows"))
      fmt::print("{}: {:.2f} s, {}\n", label(row), row.at("seconds").get<double>(),
                 megabytes(row.at("peak_bytes")));
    fmt::print("merged without data: not scored\n");
    return;
  }
  print_scores(result);
  if (result.at("rows").at(0).at("by_late").size() > 1) print_late_sets(result);
  for (const auto& row : result.at("rows"))
    if (row.contains("searched"))
      fmt::print(
          "\nβ of {}: {:.3g}, worst decoded error on validation images {:.3f}; equal "
          "weights: {:.3f}",
          label(row), fmt::join(row.at("weights").get<std::vector<double>>(), ", "),
          row.at("searched").at("error").get<double>(),
          row.at("searched").at("error_of_equal_weights").get<double>());
  fmt::print(
      "\naccuracy when all answer {:.2f} %; decoding a query takes {:.1f} µs, {:.2f} µs in a batch "
      "of {}, and there is nothing to encode; {}\n",
      100 * result.at("test_accuracy").get<double>(), result.at("decode_us").get<double>(),
      result.at("decode_us_in_batch").get<double>(), result.at("timing_batch").get<std::int64_t>(),
      result.at("cost").get<std::string>());
  constexpr std::size_t most = 12;
  const json& rows = result.at("rows");
  std::string last;
  for (const auto& row : rows)
    if (rows.size() <= most || label(row) == result.at("best").get<std::string>())
      last += fmt::format("{}{} {:.1f} %", last.empty() ? "" : ", ", label(row),
                          row.at("normalised_decoding_accuracy").get<double>());
  fmt::print("normalised decoding accuracy{}: {}\n", rows.size() <= most ? "" : ", best", last);
}

void print_difference(const std::vector<TensorDifference>& tensors,
                      const std::vector<std::string>& models) {
  std::vector<std::string> head = {"tensor", "shape"};
  const auto columns = [&](const char* what) {
    for (std::size_t i = 0; i < models.size(); ++i)
      head.push_back(fmt::format("{} {}", what, i + 1));
  };
  const bool start = !tensors.empty() && !tensors[0].from_start.empty();
  const bool fisher = !tensors.empty() && !tensors[0].fisher_mass.empty();
  columns("norm");
  columns("from mean");
  if (start) columns("from start");
  if (fisher) columns("Fisher");
  if (fisher) columns("error of mean");
  std::vector<std::vector<std::string>> lines = {head};
  for (const TensorDifference& tensor : tensors) {
    lines.push_back({tensor.name, to_string(tensor.shape)});
    auto& line = lines.back();
    for (const double value : tensor.size) line.push_back(fmt::format("{:.3g}", value));
    for (std::size_t i = 0; i < models.size(); ++i)
      line.push_back(tensor.size[i] > 0
                         ? fmt::format("{:.1f} %", 100 * tensor.from_mean[i] / tensor.size[i])
                         : fmt::format("{:.3g}", tensor.from_mean[i]));
    for (const double value : tensor.from_start) line.push_back(fmt::format("{:.3g}", value));
    for (const double value : tensor.fisher_share)
      line.push_back(fmt::format("{:.1f} %", 100 * value));
    for (const double value : tensor.expected_error)
      line.push_back(fmt::format("{:.1f} %", 100 * value));
  }
  for (std::size_t i = 0; i < models.size(); ++i) fmt::print("model {}: {}\n", i + 1, models[i]);
  fmt::print(
      "norm ‖θ‖; from mean ‖θ − mean of all models‖ / ‖θ‖{}{}\n",
      start ? "; from start ‖θ − θ_0‖" : "",
      fisher ? "; Fisher: share of Σ F of the model; error of mean: share of Σ F (θ − mean)²" : "");
  print_columns(lines);
  fmt::print("\n");
}

json to_json(const std::vector<TensorDifference>& tensors) {
  json out = json::array();
  for (const TensorDifference& tensor : tensors) {
    out.push_back({{"name", tensor.name},
                   {"shape", to_string(tensor.shape)},
                   {"norm", tensor.size},
                   {"from_mean", tensor.from_mean}});
    if (!tensor.from_start.empty()) out.back()["from_start"] = tensor.from_start;
    if (!tensor.fisher_mass.empty()) {
      out.back()["fisher_mass"] = tensor.fisher_mass;
      out.back()["fisher_share"] = tensor.fisher_share;
      out.back()["error_of_mean_share"] = tensor.expected_error;
    }
  }
  return out;
}

}  // namespace understudy
