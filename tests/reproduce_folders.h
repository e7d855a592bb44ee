// Run folders as the trainers leave them, made up.
#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/reproduce/experiment.h"

namespace understudy::testing {

inline void write_text(const std::filesystem::path& file, const std::string& text) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
}

// A run with `epochs` epochs of which `done` are done, two seconds each; finished when all are.
inline void make_run(const std::filesystem::path& folder, const std::string& program, int epochs,
                     int done, nlohmann::json settings = nlohmann::json::object(),
                     nlohmann::json result = nlohmann::json::object()) {
  if (settings.is_null()) settings = nlohmann::json::object();  // what {} makes
  if (epochs > 0) settings["epochs"] = epochs;
  const nlohmann::json header = {
      {"program", program},
      {"settings", settings},
      {"commit", "0123456789ab"},
      {"device", "cpu"},
      {"instruction_set", "avx2"},
      {"threads", 1},
      {"command", "/somewhere/bin/train_code --data-dir /somewhere"},
      {"dataset", {{"name", "mnist"}, {"train", 60000}, {"sample", false}}}};
  write_text(folder / "header.json", header.dump());
  std::string metrics;
  for (int epoch = 1; epoch <= done; ++epoch)
    metrics +=
        nlohmann::json({{"epoch", epoch}, {"seconds", 2.0 * epoch}, {"train_loss", 0.1}}).dump() +
        "\n";
  write_text(folder / "metrics.jsonl", metrics);
  if (done < epochs) return;
  result["seconds"] = 2.0 * done + 1;
  write_text(folder / "result.json", result.dump());
}

// mnist, mlp, k = 2, MLPEncoder, mse, seed 1, 10 epochs.
inline reproduce::CodeSetting small_setting() {
  reproduce::CodeSetting setting;
  setting.base = {.dataset = "mnist", .model = "mlp"};
  setting.epochs = 10;
  return setting;
}

// mnist and fashion-mnist, mlp, fine-tuned from cifar-10-grey28, COIN at two numbers of points.
inline reproduce::MergeSetting small_merge() {
  reproduce::MergeSetting setting;
  setting.initialisation = "pretrained";
  setting.start = {.dataset = "cifar-10-grey28", .model = "mlp", .epochs = 5, .purpose = "start"};
  for (const char* task : {"mnist", "fashion-mnist"})
    setting.models.push_back({.dataset = task,
                              .model = "mlp",
                              .epochs = 3,
                              .purpose = "tuned",
                              .start = "cifar-10-grey28"});
  setting.methods = {"average", "coin"};
  setting.flags = {{"points", "100,1000"}};
  return setting;
}

// Settings of codes, as an experiment has them.
inline std::vector<reproduce::Setting> settings_of(
    const std::vector<reproduce::CodeSetting>& codes) {
  return {codes.begin(), codes.end()};
}
inline std::vector<reproduce::CodeSetting> codes_of(
    const std::vector<reproduce::Setting>& settings) {
  std::vector<reproduce::CodeSetting> codes;
  for (const auto& setting : settings) codes.push_back(std::get<reproduce::CodeSetting>(setting));
  return codes;
}

}  // namespace understudy::testing
