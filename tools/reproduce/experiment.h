// An experiment as its file in tools/experiments/ describes it: which codes, over which base
// models, on which data, the most important first; and the figures that were published for it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace understudy::reproduce {

// A flag as it is typed, {"lr", "0.1"}; without a value {"nesterov", ""}.
struct Flag {
  std::string name, value;
};

// A base model: what train_classifier is told.
struct BaseModel {
  std::string dataset;
  std::string model;       // "resnet18"
  std::int64_t width = 0;  // of its first stage; 0: the model's own
  std::int64_t epochs = 8;
  std::int64_t seed = 1;
  std::vector<Flag> flags;  // all others

  // "resnet18w16": the model, and its width where that is not its own.
  std::string label() const;
};

// One setting: a code that is trained over a base model, or a comparison of codes without training
// over one, which has many shapes at once.
struct Setting {
  BaseModel base;

  std::string code = "learned";  // "parity-sum"
  std::string encoder = "mlp";   // "" for codes that have none
  std::string loss = "mse";
  std::string channels = "aligned";
  std::int64_t k = 2, r = 1;
  std::int64_t epochs = 16;
  std::int64_t epochs_published = 0;  // 0: not known
  std::int64_t least_epochs = 3;      // --budget never goes below
  std::vector<Flag> flags;            // other flags of train_code

  // Of a comparison; none of the above counts then.
  std::vector<std::string> codes;
  std::vector<std::int64_t> ks, rs;
  std::string label;  // tells apart the folders of two comparisons over one base model

  bool compares() const { return !codes.empty(); }
  // "mnist mlp k=2 r=1 learned mlp mse aligned", then other flags: "augment=none"
  std::string text() const;
};

struct Experiment {
  std::string name;    // "learning-a-code"
  std::string title;   // a line for people
  std::string source;  // the paper
  std::vector<Setting> settings;
  std::vector<nlohmann::json> published;  // the fields of a "published" line of results.jsonl
  std::string sha256;                     // of all that was read
};

// What the command line asks for instead of what the file says.
struct Overrides {
  std::vector<std::int64_t> seeds;  // empty: the file's
  std::int64_t width = 0;           // of every resnet18; 0: the file's
  std::int64_t most_epochs = 0;     // of a code's training; 0: the file's
};

// UsageError with file, line, key and what was expected.
Experiment read_experiment(const std::filesystem::path& file, const Overrides& overrides = {});

}  // namespace understudy::reproduce
