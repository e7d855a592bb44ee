// The flags of train_classifier beside the common ones, and what follows from them alone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/nn/module.h"
#include "engine/optim/optimizer.h"
#include "tools/runs/data.h"
#include "tools/runs/options.h"

namespace understudy {

struct Choices {
  DataChoices data;
  std::vector<std::int64_t> hidden;  // empty: the model's own default
  std::int64_t width = 0;            // likewise
  bool no_batch_norm = false;
  std::string optimizer = "adam";
  double momentum = 0;
  bool nesterov = false;
  double weight_decay = 0;
  std::string schedule = "constant";
  double clip = 0;
  double label_smoothing = 0;
  std::filesystem::path init;
  std::int64_t validation = 0;
  std::filesystem::path profile;
};

// `choices` outlives the Options.
void add_choices(Options& options, Choices& choices);

// UsageError for flags that the chosen optimiser does not have.
std::unique_ptr<Optimizer> make_optimizer(const Choices& choices, double lr, Module& model);

}  // namespace understudy
