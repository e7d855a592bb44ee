// The flags of train_code beside the common ones, and the code that they ask for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "coding/trainable_code.h"
#include "engine/random.h"
#include "tools/runs/data.h"
#include "tools/runs/options.h"

namespace understudy {

struct CodeChoices {
  DataChoices data;
  std::filesystem::path base;
  std::string code = "learned";
  std::int64_t k = 2, r = 1;
  // Of a learned code alone.
  std::string encoder = "mlp";
  std::string loss = "mse";
  std::string channels = "aligned";
  // Of every code.
  std::string schedule = "constant";
  double weight_decay = 1e-5;
  std::int64_t validation = 5000;
  std::filesystem::path profile;
};

// `choices` outlives the Options.
void add_choices(Options& options, CodeChoices& choices);

// UsageError for flags that are missing, do not go together, or would be ignored by the chosen code.
void check_choices(const CommonOptions& common, const CodeChoices& choices);

// The untrained code, over a base model and images (H, W, C).
std::unique_ptr<TrainableCode> make_code(const CodeChoices& choices, const Shape& image,
                                         Model& base, Generator& generator);

}  // namespace understudy
