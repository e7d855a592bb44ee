#include "models/resnet.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "engine/autograd.h"
#include "engine/nn/init.h"
#include "engine/nn/observer.h"
#include "kernels/check.h"

namespace understudy {
namespace {

constexpr std::size_t most_stages = 8;

std::vector<std::int64_t> checked(std::vector<std::int64_t> widths) {
  if (widths.size() < 3 || widths.size() > most_stages + 2)
    throw UsageError(
        fmt::format("[resnet18] widths ({}): expected the images' channels, those of 1 to {} "
                    "stages, and the classes",
                    fmt::join(widths, "-"), most_stages));
  for (const std::int64_t width : widths)
    if (width < 1 || width >= 1 << 16)
      throw UsageError(fmt::format("[resnet18] widths {}: each must be from 1 to {}",
                                   fmt::join(widths, "-"), (1 << 16) - 1));
  return widths;
}

std::vector<Sequential> make_stages(const std::vector<std::int64_t>& widths, bool batch_norm,
                                    Generator& generator) {
  const std::size_t count = widths.size() - 2;
  const double branch = 1 / std::sqrt(2.0 * static_cast<double>(count));
  std::vector<Sequential> stages(count);
  for (std::size_t stage = 0; stage < count; ++stage) {
    std::int64_t in = widths[std::max<std::size_t>(stage, 1)];
    for (int i = 0; i < 2; ++i) {
      const std::int64_t out = widths[stage + 1], stride = stage > 0 && i == 0 ? 2 : 1;
      auto block = std::make_unique<BasicBlock>(in, out, stride, batch_norm, generator);
      if (!batch_norm)
        init_kaiming_normal(block->second.convolution.weight, generator, std::sqrt(2.0) * branch);
      stages[stage].add(std::move(block));
      in = out;
    }
  }
  return stages;
}

}  // namespace

NormalizedConvolution::NormalizedConvolution(std::int64_t in, std::int64_t out, std::int64_t window,
                                             std::int64_t stride, bool batch_norm,
                                             Generator& generator)
    : convolution(in, out, window, generator,
                  {.conv = {.stride = stride, .padding = window / 2}, .bias = !batch_norm}) {
  init_kaiming_normal(convolution.weight, generator, std::sqrt(2.0));
  if (batch_norm)
    norm.emplace(out);
  else
    init_constant(convolution.bias, 0);
}

Tensor NormalizedConvolution::operator()(const Tensor& x, const Tensor& residual,
                                         Activation activation) {
  const bool watched = LayerObserver::current() != nullptr;
  const bool plain = !residual.defined() && activation == Activation::none;
  if (norm && (watched || recording() || norm->training())) {
    const Tensor y = convolution(x);
    return plain ? (*norm)(y) : norm->normalize(y, residual, activation);
  }
  if (norm) {
    const auto [scale, shift] = norm->affine();
    return conv2d_affine(x, convolution.weight, scale, shift, residual, convolution.conv,
                         activation);
  }
  if (!watched && !residual.defined())
    return conv2d(x, convolution.weight, convolution.bias, convolution.conv, activation);
  const Tensor y = residual.defined() ? convolution(x) + residual : convolution(x);
  return activation == Activation::relu ? relu(y) : y;
}

void NormalizedConvolution::members(Members& m, const std::string& convolution_name,
                                    const std::string& norm_name) {
  m.child(convolution_name, convolution);
  if (norm) m.child(norm_name, *norm);
}

BasicBlock::BasicBlock(std::int64_t in, std::int64_t out, std::int64_t stride, bool batch_norm,
                       Generator& generator)
    : first(in, out, 3, stride, batch_norm, generator),
      second(out, out, 3, 1, batch_norm, generator) {
  if (stride != 1 || in != out) downsample.emplace(in, out, 1, stride, batch_norm, generator);
}

Tensor BasicBlock::forward(const Tensor& x) {
  const Tensor shortcut = downsample ? (*downsample)(x, {}, Activation::none) : x;
  return second(first(x, {}, Activation::relu), shortcut, Activation::relu);
}

void BasicBlock::members(Members& m) {
  first.members(m, "conv1", "bn1");
  second.members(m, "conv2", "bn2");
  if (downsample) downsample->members(m, "downsample.0", "downsample.1");
}

ResNet18::ResNet18(std::vector<std::int64_t> widths_of_stages, bool with_batch_norm,
                   Generator& generator)
    : widths(checked(std::move(widths_of_stages))),
      batch_norm(with_batch_norm),
      stem(widths[0], widths[1], 3, 1, batch_norm, generator),
      stages(make_stages(widths, batch_norm, generator)),
      fc(widths[widths.size() - 2], widths.back(), generator) {}

Tensor ResNet18::forward(const Tensor& x) {
  check(x.rank() == 4 && x.size(3) == widths.front(),
        "[resnet18] input {}: images (N,H,W,{}) expected", to_string(x.shape()), widths.front());
  Tensor y = stem(x, {}, Activation::relu);
  for (Sequential& stage : stages) y = stage(y);
  return fc(global_average_pool(y));
}

void ResNet18::members(Members& m) {
  stem.members(m, "conv1", "bn1");
  for (std::size_t i = 0; i < stages.size(); ++i) m.child(fmt::format("layer{}", i + 1), stages[i]);
  m.child("fc", fc);
}

std::string ResNet18::describe() const {
  return fmt::format("resnet18 {}{}", fmt::join(widths, "-"), batch_norm ? "" : " no-batch-norm");
}

std::vector<std::int64_t> resnet18_widths(const Shape& image, std::int64_t width,
                                          std::int64_t classes) {
  if (image.rank() != 3)
    throw UsageError(
        fmt::format("[resnet18] inputs {}: images (H,W,C) expected", to_string(image)));
  const int stages = image[0] == 28 && image[1] == 28 ? 3 : 4;
  std::vector<std::int64_t> widths = {image[2]};
  for (int stage = 0; stage < stages; ++stage) widths.push_back(width << stage);
  widths.push_back(classes);
  return widths;
}

}  // namespace understudy
