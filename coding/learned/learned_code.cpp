#include "coding/learned/learned_code.h"

#include <fmt/ranges.h>

#include <charconv>

#include "coding/learned/conv_encoder.h"
#include "coding/learned/mlp_decoder.h"
#include "coding/learned/mlp_encoder.h"
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
};

const EncoderKind& encoder_kind(const std::string& name) {
  for (const EncoderKind& kind : encoder_kinds)
    if (name == kind.name) return kind;
  throw UsageError(
      fmt::format("unknown encoder \"{}\"; there are: {}", name, fmt::join(encoder_names(), ", ")));
}

const LearnedCodeOptions& checked(const LearnedCodeOptions& options) {
  validate(options.shape);
  if (options.shape.r < 1) throw UsageError("a learned code needs r >= 1; got r = 0");
  if (options.image.rank() != 3 || options.image.count() < 1)
    throw UsageError(
        fmt::format("a learned code needs images (H,W,C), got {}", to_string(options.image)));
  if (options.classes < 1) throw UsageError("a learned code needs at least one class");
  return options;
}

std::int64_t number(const Safetensors& content, const std::string& key) {
  const auto found = content.metadata.find(key);
  check(found != content.metadata.end(),
        "expected the file of a learned code, but its metadata have no \"{}\"", key);
  const std::string& text = found->second;
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  check(error == std::errc() && end == text.data() + text.size() && value >= 0,
        "metadata \"{}\" should be a number from 0 to 2147483647, found \"{}\"", key, text);
  return value;
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
    : QueryCode(checked(options).shape),
      options_(options),
      encoder_(encoder_kind(options.encoder).make(options, generator)),
      decoder_(std::make_unique<MlpDecoder>(options.shape, options.classes, generator)) {}

void LearnedCode::members(Members& m) {
  m.child("encoder", *encoder_);
  m.child("decoder", *decoder_);
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

Safetensors to_safetensors(LearnedCode& code) {
  const LearnedCodeOptions& options = code.options();
  Safetensors content;
  for (const NamedTensor& named : pytorch_state(code))
    content.tensors.emplace_back(named.name, named.tensor);
  content.metadata = {{"understudy.kind", "learned-code"},
                      {"understudy.k", std::to_string(options.shape.k)},
                      {"understudy.r", std::to_string(options.shape.r)},
                      {"understudy.encoder", options.encoder},
                      {"understudy.channels", to_string(options.channels)},
                      {"understudy.height", std::to_string(options.image[0])},
                      {"understudy.width", std::to_string(options.image[1])},
                      {"understudy.image_channels", std::to_string(options.image[2])},
                      {"understudy.classes", std::to_string(options.classes)}};
  return content;
}

namespace {

LearnedCodeOptions options_in(const Safetensors& content) {
  LearnedCodeOptions options;
  options.shape.k = static_cast<int>(number(content, "understudy.k"));
  options.shape.r = static_cast<int>(number(content, "understudy.r"));
  options.image = {number(content, "understudy.height"), number(content, "understudy.width"),
                   number(content, "understudy.image_channels")};
  options.classes = number(content, "understudy.classes");
  const auto text = [&](const std::string& key, const std::string& otherwise) {
    const auto found = content.metadata.find(key);
    return found == content.metadata.end() ? otherwise : found->second;
  };
  options.encoder = text("understudy.encoder", "mlp");
  options.channels = channel_layout(text("understudy.channels", "aligned"));
  // No product of sizes overflows within these.
  check(options.image[0] < 32768 && options.image[1] < 32768 && options.image[2] < 32768,
        "images of {}×{}×{} are not those of a learned code", options.image[0], options.image[1],
        options.image[2]);
  return checked(options);
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
