// Parity models (ParM, SOSP 2019): the encoder is fixed, and networks are trained to answer parity
// inputs with sums of the base model's answers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "coding/matrix/exact_code.h"
#include "coding/trainable_code.h"
#include "engine/random.h"

namespace understudy {

enum class ParityInput {
  sum,     // Σ_i a_i^m x_i for parity m, a_i = i + 1 for i = 0..k−1: for r = 1 the published sum
  concat,  // each of the k images smaller, all of them in one (concatenation.h), for every parity
};
ParityInput parity_input(const std::string& name);  // "sum", "concat"; UsageError for another
const char* to_string(ParityInput input);

struct ParityModelsOptions {
  CodeShape shape;
  ParityInput input = ParityInput::sum;
  Shape image;  // (H, W, C)
  std::int64_t classes = 10;
  BaseIdentity base = {};  // its model is the architecture of the parity models
};

// Parity model m learns F_m(p_m) ≈ Σ_i a_i^m F(x_i) from scratch, with the mean of the squared error
// over all logits (as published). The weights are rows of a Vandermonde matrix, unnormalised, which
// for r > 1 are ours and keep any data that are missing solvable for: from F_0 alone they are
// F_0(p_0) − Σ of the answers that came; from several the exact solution, or the one of least
// squares where more parities answered than data are missing. Parities are made of images as
// networks take them, means subtracted.
class ParityModels : public TrainableCode {
 public:
  // Draws r networks from `generator`. UsageError for an architecture that is none, and for
  // concatenation of more images than one has room for.
  ParityModels(const ParityModelsOptions& options, Generator& generator);

  std::string name() const override;
  const ParityModelsOptions& options() const { return options_; }
  Module* parity_model(int m) override;
  std::int64_t encode_multiply_adds(const Shape& image) const override;
  std::int64_t decode_multiply_adds(std::int64_t classes) const override;

  // "parity0", "parity1", ...
  std::vector<Part> parts() override;
  // 64 for k = 2 and 32 for k = 3, 4 were published; beyond about 160 images, as for learned codes.
  std::int64_t groups_per_batch() const override;
  // The parity models' errors added up, so that each learns as if alone. What is missing changes
  // nothing: `scenarios` are not looked at. UsageError for another loss than mse.
  Tensor training_loss(Module& base, const GroupBatch& batch, const Erasures& scenarios,
                       CodeLoss loss) override;
  void members(Members& m) override;

 protected:
  Tensor encode_groups(const Tensor& groups) override;
  Tensor decode_outputs(const Tensor& outputs, const Erasures& erasures) override;
  std::map<std::string, std::string> metadata() const override;

 private:
  ParityModelsOptions options_;
  ExactCode linear_;  // the data themselves and the sums: encodes sums, decodes both kinds
  ResidentMatrix wanted_sums_;
  std::vector<std::unique_ptr<Model>> networks_;
};

// The code of a file that TrainableCode::to_safetensors() made. Error naming the file and what does
// not fit.
std::unique_ptr<ParityModels> read_parity_models(const Safetensors& content,
                                                 const std::string& file);

}  // namespace understudy
