// A code that is trained before it is used: its parameters, the loss they are trained with, and its
// file.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "coding/losses.h"
#include "coding/query_code.h"
#include "coding/simulate.h"
#include "engine/nn/module.h"
#include "engine/safetensors.h"
#include "models/model.h"

namespace understudy {

// Which base model a code was trained for; empty texts where that is not known.
struct BaseIdentity {
  std::string model;   // Model::describe()
  std::string sha256;  // model_checksum()
};
BaseIdentity identity_of(Model& base);
// SHA-256 over the SHA-256 of each parameter and buffer in turn, without names: it tells models of
// one architecture from each other.
std::string model_checksum(Module& model);

// What a code was made for, and is of use to: its networks have these sizes and were trained on the
// answers of that base model.
struct CodePurpose {
  CodeShape shape;
  Shape image;  // (H, W, C)
  std::int64_t classes = 10;
  BaseIdentity base = {};
};

// What the file of a code says of it. Error for metadata that are missing or impossible.
CodePurpose purpose_in(const Safetensors& content);

class TrainableCode : public QueryCode, public Module {
 public:
  // UsageError for r = 0, an image that is not (H, W, C) and no class.
  explicit TrainableCode(CodePurpose purpose);

  const CodePurpose& purpose() const { return purpose_; }

  // What is trained, each part by an optimiser of its own. Parts without parameters are left out.
  struct Part {
    std::string name;  // its section in checkpoints is "optimizer.<name>"
    Module* module;
  };
  virtual std::vector<Part> parts() = 0;
  // Groups in a step, as published for the k's that were.
  virtual std::int64_t groups_per_batch() const = 0;
  // The loss of a batch, recorded: `scenarios` = Erasures::scenarios(patterns, G). The base model is
  // frozen and in evaluation mode. UsageError for a loss that the code is not trained with.
  virtual Tensor training_loss(Module& base, const GroupBatch& batch, const Erasures& scenarios,
                               CodeLoss loss) = 0;

  // As a module it encodes.
  Tensor forward(const Tensor& groups) override { return encode(groups); }

  // The parameters in PyTorch's order of axes; what else it takes to make the code again is in the
  // metadata, with the base model that it was made for. read_code() (coding/code_file.h) reads it.
  Safetensors to_safetensors();

 protected:
  // Its "understudy.kind" and what it has beside its purpose.
  virtual std::map<std::string, std::string> metadata() const = 0;

 private:
  CodePurpose purpose_;
};

}  // namespace understudy
