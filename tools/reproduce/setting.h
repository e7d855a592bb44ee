// What an experiment is made of: codes over one model's queries, and codes over several models.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace understudy::reproduce {

// A flag as it is typed, {"lr", "0.1"}; without a value {"nesterov", ""}.
struct Flag {
  std::string name, value;
};

// A network that is coded, or that such a network begins from: what train_classifier is told.
struct BaseModel {
  std::string dataset;
  std::string model;       // "resnet18"
  std::int64_t width = 0;  // of its first stage; 0: the model's own
  std::int64_t epochs = 8;
  std::int64_t seed = 1;
  std::vector<Flag> flags;  // all others

  std::string purpose = "base";  // "base", "start" or "tuned": what its folder's name begins with
  std::string
      start;  // the data set of the "start" of equal seed that it begins from; "": at random

  // "resnet18w16": the model, and its width where that is not its own.
  std::string label() const;
};

// A code that is trained over a base model, or a comparison of codes without training over one,
// which has many shapes at once.
struct CodeSetting {
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

// Coded networks of n models, one for each method and choice of what it looks at: a run of
// merge_models.
struct MergeSetting {
  std::vector<BaseModel> models;   // n, one for each task; all of one width and kind
  std::optional<BaseModel> start;  // what all were fine-tuned from; none where they began at random
  std::string initialisation;      // "pretrained", "same", "independent"
  std::int64_t seed = 1;
  std::vector<std::string> methods;  // "coin", "coin+refit"; or "all" alone
  std::vector<Flag> flags;           // of merge_models: points, fisher, ...
  std::string label;                 // tells apart the folders of two merges of the same models

  std::string tasks() const;  // "mnist+fashion-mnist"
  // "mnist+fashion-mnist mlp pretrained on cifar-10-grey28", then the label and flags of which the
  // rows of the result do not say the value: "distill-epochs=20"
  std::string text() const;
};

using Setting = std::variant<CodeSetting, MergeSetting>;

std::string text_of(const Setting& setting);
// Null for what is not trained by epochs that a budget may cut: comparisons and merges.
CodeSetting* trained_code(Setting& setting);
const CodeSetting* trained_code(const Setting& setting);

}  // namespace understudy::reproduce
