#include "models/mlp.h"

#include <fmt/ranges.h>

#include <utility>

#include "engine/nn/sequential.h"
#include "kernels/check.h"

namespace understudy {

Mlp::Mlp(std::vector<std::int64_t> widths_of_layers, Generator& generator)
    : widths(std::move(widths_of_layers)) {
  if (widths.size() < 2)
    throw UsageError(
        fmt::format("[mlp] widths ({}): at least the inputs and the classes are needed",
                    fmt::join(widths, "-")));
  for (const std::int64_t width : widths)
    if (width < 1)
      throw UsageError(
          fmt::format("[mlp] widths {}: each must be at least 1", fmt::join(widths, "-")));
  layers.reserve(widths.size() - 1);
  for (std::size_t i = 0; i + 1 < widths.size(); ++i) {
    const bool last = i + 2 == widths.size();
    layers.emplace_back(widths[i], widths[i + 1], generator,
                        Linear::Options{.activation = last ? Activation::none : Activation::relu});
  }
}

Tensor Mlp::forward(const Tensor& x) {
  Tensor y = flatten(x);
  check(y.size(1) == widths.front(), "[mlp] input {}: {} values an item, {} expected",
        to_string(x.shape()), y.size(1), widths.front());
  for (Linear& layer : layers) y = layer(y);
  return y;
}

void Mlp::members(Members& m) {
  // In nn.Sequential the ReLUs take the odd places.
  for (std::size_t i = 0; i < layers.size(); ++i) m.child(std::to_string(2 * i), layers[i]);
}

std::string Mlp::describe() const { return fmt::format("mlp {}", fmt::join(widths, "-")); }

}  // namespace understudy
