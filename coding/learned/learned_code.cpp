#include "coding/learned/learned_code.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "coding/learned/conv_encoder.h"
#include "coding/learned/fixed_encoder.h"
#include "coding/learned/mlp_decoder.h"
#include "coding/learned/mlp_encoder.h"
#include "coding/losses.h"
#include "coding/matrix/parity_rows.h"
#include "engine/nn/pytorch_state.h"
#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {
namespace {

struct EncoderKind {
  const char* name;
  std::unique_ptr<PlaneEncoder> (*make)(const LearnedCodeOptions& options, Generator& generator);
  ParameterShapes (*shapes)(const LearnedCodeOptions& options);  // as in files
};

ParameterShapes no_parameters(const LearnedCodeOptions&) { return {}; }

constexpr EncoderKind encoder_kinds[] = {
    {"mlp",
     [](const LearnedCodeOptions& options, Generator& generator) -> std::unique_ptr<PlaneEncoder> {
       return std::make_unique<MlpEncoder>(options.shape, options.image[0], options.image[1],
                                           generator);
     },
     [](const LearnedCodeOptions& options) {
       return MlpEncoder::parameter_shapes(options.shape, options.image[0], options.image[1]);
     }},
    {"conv",
     [](const LearnedCodeOptions& options, Generator& generator) -> std::unique_ptr<PlaneEncoder> {
       return std::make_unique<ConvEncoder>(options.shape, generator);
     },
     [](const LearnedCodeOptions& options) {
       return ConvEncoder::parameter_shapes(options.shape);
     }},
    {"mean",
     [](const LearnedCodeOptions& options, Generator&) -> std::unique_ptr<PlaneEncoder> {
       return std::make_unique<FixedEncoder>(mean_rows(options.shape));
     },
     no_parameters},
    {"berrut",
     [](const LearnedCodeOptions& options, Generator&) -> std::unique_ptr<PlaneEncoder> {
       return std::make_unique<FixedEncoder>(systematic_berrut_rows(options.shape));
     },
     no_parameters},
};

const EncoderKind& encoder_kind(const std::string& name) {
  for (const EncoderKind& kind : encoder_kinds)
    if (name == kind.name) return kind;
  throw UsageError(
      fmt::format("unknown encoder \"{}\"; there are: {}", name, fmt::join(encoder_names(), ", ")));
}

}  // namespace

ChannelLayout channel_layout(const std::string& name) {
  if (name == "aligned") return ChannelLayout::aligned;
  if (name == "interleaved") return ChannelLayout::interleaved;
  throw UsageError(
      fmt::format("unknown channel layout \"{}\"; there are: aligned, interleaved", name));
}

const char* to_string(ChannelLayout layout) {
  return layout == ChannelLayout::aligned ? "aligned" : "interleaved";
}

const std::vector<std::string>& encoder_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const EncoderKind& kind : encoder_kinds) all.push_back(kind.name);
    return all;
  }();
  return names;
}

LearnedCode::LearnedCode(const LearnedCodeOptions& options, Generator& generator)
    : TrainableCode({options.shape, options.image, options.classes, options.base}),
      options_(options),
      encoder_(encoder_kind(options.encoder).make(options, generator)),
      decoder_(std::make_unique<MlpDecoder>(options.shape, options.classes, generator)) {}

void LearnedCode::members(Members& m) {
  m.child("encoder", *encoder_);
  m.child("decoder", *decoder_);
}

std::vector<TrainableCode::Part> LearnedCode::parts() {
  std::vector<Part> all = {{"encoder", encoder_.get()}, {"decoder", decoder_.get()}};
  std::erase_if(all, [](const Part& part) { return part.module->parameters().empty(); });
  return all;
}

std::int64_t LearnedCode::groups_per_batch() const {
  return shape().k <= 2 ? 64 : std::max<std::int64_t>(1, 160 / shape().k);
}

Tensor LearnedCode::training_loss(Module& base, const GroupBatch& batch, const Erasures& scenarios,
                                  CodeLoss loss) {
  const Reconstruction lost = simulate_losses(*this, base, batch, scenarios);
  return code_loss(loss, lost.decoded, lost.target, lost.labels);
}

Tensor LearnedCode::encode_groups(const Tensor& groups) {
  const std::int64_t G = groups.size(0), k = shape().k, r = shape().r;
  const std::int64_t H = groups.size(2), W = groups.size(3), C = groups.size(4);
  if (C == 1)  // both layouts are the memory as it is
    return reshape((*encoder_)(reshape(groups, {G, k, H, W})), {G, r, H, W, 1});
  if (options_.channels == ChannelLayout::aligned) {
    const Tensor planes = reshape(permute(groups, {0, 4, 1, 2, 3}), {G * C, k, H, W});
    return permute(reshape((*encoder_)(planes), {G, C, r, H, W}), {0, 2, 3, 4, 1});
  }
  const Tensor planes = reshape(permute(groups, {0, 1, 4, 2, 3}), {G * C, k, H, W});
  return permute(reshape((*encoder_)(planes), {G, r, C, H, W}), {0, 1, 3, 4, 2});
}

Tensor LearnedCode::decode_outputs(const Tensor& outputs, const Erasures&) {
  return (*decoder_)(outputs);
}

std::int64_t LearnedCode::encode_multiply_adds(const Shape& image) const {
  return encoder_->multiply_adds(image[0], image[1]) * image[2];
}

std::int64_t LearnedCode::decode_multiply_adds(std::int64_t) const {
  return decoder_->multiply_adds();
}

// ---- files ----

std::map<std::string, std::string> LearnedCode::metadata() const {
  return {{"understudy.kind", "learned-code"},
          {"understudy.encoder", options_.encoder},
          {"understudy.channels", to_string(options_.channels)}};
}

namespace {

LearnedCodeOptions options_in(const Safetensors& content) {
  const CodePurpose purpose = purpose_in(content);
  const auto text = [&](const std::string& key, const std::string& otherwise) {
    const auto found = content.metadata.find(key);
    return found == content.metadata.end() ? otherwise : found->second;
  };
  return {.shape = purpose.shape,
          .encoder = text("understudy.encoder", "mlp"),
          .channels = channel_layout(text("understudy.channels", "aligned")),
          .image = purpose.image,
          .classes = purpose.classes,
          .base = purpose.base};
}

// Networks are as large as the metadata say: the tensors must be there in that size before one is
// made, or a small file could ask for any amount of memory.
void check_tensors(const Safetensors& content, const LearnedCodeOptions& options) {
  ParameterShapes expected;
  const auto add = [&](const std::string& half, const ParameterShapes& shapes) {
    for (const auto& [name, shape] : shapes) expected.emplace_back(half + name, shape);
  };
  add("encoder.", encoder_kind(options.encoder).shapes(options));
  add("decoder.", MlpDecoder::parameter_shapes(options.shape, options.classes));
  for (const auto& [name, shape] : expected) {
    const Tensor* tensor = content.find(name);
    check(tensor && tensor->shape() == shape,
          "\"{}\" is {}, but k = {}, r = {}, images of {}×{} and {} classes need {}", name,
          tensor ? to_string(tensor->shape()) : "not there", options.shape.k, options.shape.r,
          options.image[0], options.image[1], options.classes, to_string(shape));
  }
}

}  // namespace

std::unique_ptr<LearnedCode> read_learned_code(const Safetensors& content,
                                               const std::string& file) try {
  const LearnedCodeOptions options = options_in(content);
  check_tensors(content, options);
  Generator generator(0);
  auto code = std::make_unique<LearnedCode>(options, generator);
  std::vector<NamedTensor> state;
  for (const auto& [name, tensor] : content.tensors) state.push_back({name, tensor});
  load_pytorch_state(*code, std::move(state));
  return code;
} catch (const Error& e) {
  // Whatever does not fit is the file's fault, not that of a flag.
  fail("{}: {}", file, e.what());
}

}  // namespace understudy
