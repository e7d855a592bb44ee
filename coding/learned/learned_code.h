// A learned code (arXiv 1806.01259): encoder and decoder are networks, trained together through a
// frozen base model.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "coding/learned/networks.h"
#include "coding/trainable_code.h"
#include "engine/random.h"
#include "engine/safetensors.h"

namespace understudy {

// Which planes of a group with C > 1 channels are encoded together.
enum class ChannelLayout {
  aligned,      // the k red planes, then the k green ones ...: the paper's text
  interleaved,  // k consecutive planes of x1 R, x1 G, x1 B, x2 R, ...: the published code
};
ChannelLayout channel_layout(const std::string& name);  // UsageError for an unknown one
const char* to_string(ChannelLayout layout);

struct LearnedCodeOptions {
  CodeShape shape;
  std::string encoder = "mlp";
  ChannelLayout channels = ChannelLayout::aligned;
  Shape image;  // (H, W, C)
  std::int64_t classes = 10;
  BaseIdentity base = {};
};
// "mlp" and "conv" are trained; "mean" and "berrut" are the encoders of codes without training, with
// a decoder that is trained for them.
const std::vector<std::string>& encoder_names();

class LearnedCode : public TrainableCode {
 public:
  // UsageError for an unknown encoder, r = 0, or an image that is not (H, W, C).
  LearnedCode(const LearnedCodeOptions& options, Generator& generator);

  std::string name() const override { return "learned (" + options_.encoder + ")"; }
  const LearnedCodeOptions& options() const { return options_; }
  std::int64_t encode_multiply_adds(const Shape& image) const override;
  std::int64_t decode_multiply_adds(std::int64_t classes) const override;

  // "encoder", where it has parameters, and "decoder".
  std::vector<Part> parts() override;
  // 64 for k = 2 and 32 for k = 5 were published; between them, and beyond, whole groups that make
  // about the same 128 to 160 images.
  std::int64_t groups_per_batch() const override;
  // On the rows that are missing under each scenario.
  Tensor training_loss(Module& base, const GroupBatch& batch, const Erasures& scenarios,
                       CodeLoss loss) override;
  // Parameters are "encoder.…" and "decoder.…".
  void members(Members& m) override;
  PlaneEncoder& encoder() { return *encoder_; }
  OutputDecoder& decoder() { return *decoder_; }

 protected:
  Tensor encode_groups(const Tensor& groups) override;
  Tensor decode_outputs(const Tensor& outputs, const Erasures& erasures) override;
  std::map<std::string, std::string> metadata() const override;

 private:
  LearnedCodeOptions options_;
  std::unique_ptr<PlaneEncoder> encoder_;
  std::unique_ptr<OutputDecoder> decoder_;
};

// The code of a file that TrainableCode::to_safetensors() made. Error naming the file and what does
// not fit.
std::unique_ptr<LearnedCode> read_learned_code(const Safetensors& content, const std::string& file);

}  // namespace understudy
