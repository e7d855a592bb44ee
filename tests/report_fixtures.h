// Run folders as the programs write them (tools/README.md), with numbers chosen for tests.
#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/safetensors.h"

namespace understudy::test {

inline void write_text(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

inline nlohmann::json header(const std::string& program, nlohmann::json settings = {}) {
  return {{"program", program},
          {"version", "0.1.0"},
          {"commit", "1f2e3d4c5b6a"},
          {"compiler", "GNU 12.2.0, Release"},
          {"instruction_set", "avx2"},
          {"threads", 2},
          {"seed", 7},
          {"device", "cpu"},
          {"command", program + " --seed 7"},
          {"settings", settings},
          {"dataset",
           {{"name", "mnist"},
            {"train", 60000},
            {"test", 10000},
            {"sample", false},
            {"sha256", {{"train", "aabbccddeeff00112233"}, {"test", "00112233445566778899"}}}}}};
}

inline void write_classifier(const std::filesystem::path& folder) {
  write_text(folder / "header.json", header("train_classifier").dump());
  write_text(
      folder / "metrics.jsonl",
      R"({"epoch":1,"train_loss":0.4,"train_accuracy":0.9,"test_loss":0.3,"test_accuracy":0.95})"
      "\n"
      R"({"epoch":2,"train_loss":0.1,"train_accuracy":0.97,"test_loss":0.1,"test_accuracy":0.979})"
      "\n");
  write_text(folder / "result.json",
             R"({"test_accuracy":0.979,"model":"mlp 784-200-100-10","seconds":8.25})");
}

// A group of two 2×2 pictures and its parity.
inline void write_samples(const std::filesystem::path& folder) {
  Safetensors file;
  const std::vector<std::uint8_t> inputs = {0, 255, 128, 64, 1, 2, 3, 4};
  const std::vector<float> parities = {-1.5f, 0, 0.25f, 2};
  const std::vector<std::int64_t> labels = {7, 2};
  file.tensors = {{"inputs", Tensor::from(inputs, {1, 2, 2, 2, 1})},
                  {"parities", Tensor::from(parities, {1, 1, 2, 2, 1})},
                  {"labels", Tensor::from(labels, {1, 2})}};
  write_safetensors(folder / "samples.safetensors", file);
}

inline void write_code(const std::filesystem::path& folder) {
  nlohmann::json head =
      header("train_code", {{"encoder", "mlp"}, {"loss", "mse"}, {"k", 2}, {"r", 1}});
  head["dataset"]["base"] = {{"model", "mlp 784-200-100-10"}};
  write_text(folder / "header.json", head.dump());
  write_text(folder / "metrics.jsonl",
             R"({"epoch":1,"train_loss":9.5,"validation_recovery_accuracy":0.9,)"
             R"("validation_overall_accuracy":0.89})"
             "\n");
  write_text(folder / "result.json",
             R"({"k":2,"r":1,"loss":"mse","test_accuracy":0.98,"test_recovery_accuracy":0.965,)"
             R"("test_overall_accuracy":0.96,"no_code_accuracy":0.11,"encode_us":38.04,)"
             R"("decode_us":4.206,"seconds":192})");
  write_samples(folder);
}

inline void write_merge(const std::filesystem::path& folder) {
  nlohmann::json head = header("merge_models");
  head["dataset"] = nlohmann::json::array({head["dataset"], head["dataset"]});
  write_text(folder / "header.json", head.dump());
  const auto tasks = [](double decoded) {
    return nlohmann::json::array({{{"dataset", "mnist"},
                                   {"base_accuracy", 0.96},
                                   {"decoded_accuracy", decoded},
                                   {"recovery_accuracy", 0.9}},
                                  {{"dataset", "fashion-mnist"},
                                   {"base_accuracy", 0.84},
                                   {"decoded_accuracy", decoded},
                                   {"recovery_accuracy", 0.8}}});
  };
  nlohmann::json result = {{"model", "mlp 784-400-400-10"},
                           {"extra_machines_percent", 50.0},
                           {"encode_us", 0.0},
                           {"decode_us", 6.854},
                           {"seconds", 1.5},
                           {"rows", nlohmann::json::array()}};
  result["rows"].push_back({{"method", "average"},
                            {"normalised_decoding_accuracy", 64.5},
                            {"seconds", 0.004},
                            {"tasks", tasks(0.58)}});
  result["rows"].push_back({{"method", "coin"},
                            {"normalised_decoding_accuracy", 92.6},
                            {"seconds", 0.6},
                            {"tasks", tasks(0.82)}});
  write_text(folder / "result.json", result.dump());
}

}  // namespace understudy::test
