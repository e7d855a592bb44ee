// ResNet-18 for small images.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/nn/batch_norm.h"
#include "engine/nn/convolution.h"
#include "engine/nn/linear.h"
#include "engine/nn/sequential.h"
#include "models/model.h"

namespace understudy {

// A convolution without bias and the batch norm that follows it; in networks without batch norm a
// convolution with bias. Two children of the module that has this as a member.
struct NormalizedConvolution {
  // 3×3 or 1×1 with the padding that keeps the size where the stride is 1.
  NormalizedConvolution(std::int64_t in, std::int64_t out, std::int64_t window, std::int64_t stride,
                        bool batch_norm, Generator& generator);
  // activation(norm(convolution(x)) + residual); `residual` may be undefined. Without gradients and
  // in evaluation mode that is one kernel. A LayerObserver sees the layers one after the other.
  Tensor operator()(const Tensor& x, const Tensor& residual, Activation activation);
  void members(Members& m, const std::string& convolution_name, const std::string& norm_name);

  Convolution convolution;
  std::optional<BatchNorm> norm;
};

// x + two 3×3 convolutions, ReLU between and after (He, Zhang, Ren and Sun 2016); a 1×1 projection
// of x where the shape changes.
struct BasicBlock : Module {
  BasicBlock(std::int64_t in, std::int64_t out, std::int64_t stride, bool batch_norm,
             Generator& generator);
  Tensor forward(const Tensor& x) override;
  void members(Members& m) override;

  NormalizedConvolution first, second;              // "conv1" "bn1", "conv2" "bn2"
  std::optional<NormalizedConvolution> downsample;  // "downsample.0", "downsample.1"
};

// A 3×3 stem without pooling, stages of two BasicBlocks, each stage but the first with stride 2,
// the mean over all pixels, a linear layer. Four stages of 64, 128, 256, 512 channels for 32×32
// images are ResNet-18; for 28×28 the base model of arXiv 1806.01259 stops after three. Images
// (N, H, W, C) of any size. Parameters are named as in torchvision: "conv1.weight", "bn1.weight",
// "layer2.0.downsample.0.weight", "fc.weight", ...
struct ResNet18 : Model {
  // widths: the images' channels, the channels of each stage, the classes. Convolutions start as
  // N(0, 2/(fan out)). Without batch norm nothing else keeps the size of what the blocks add up:
  // the second convolution of each starts smaller by √(number of blocks), as in Fixup (Zhang,
  // Dauphin and Ma 2019).
  // UsageError for no stage, more than 8, or a width below 1.
  ResNet18(std::vector<std::int64_t> widths, bool batch_norm, Generator& generator);

  Tensor forward(const Tensor& x) override;
  void members(Members& m) override;
  std::string describe() const override;
  std::int64_t classes() const override { return widths.back(); }

  std::vector<std::int64_t> widths;
  bool batch_norm;
  NormalizedConvolution stem;      // "conv1", "bn1"
  std::vector<Sequential> stages;  // "layer1", "layer2", ...
  Linear fc;
};

// {channels, width, 2·width, ..., classes}: three stages for 28×28 images (H, W, C), else four.
// UsageError for a shape that is no image.
std::vector<std::int64_t> resnet18_widths(const Shape& image, std::int64_t width,
                                          std::int64_t classes);

}  // namespace understudy
