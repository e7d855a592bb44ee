// Multi-layer perceptrons, with ReLU between the layers.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/nn/linear.h"
#include "models/model.h"

namespace understudy {

// widths {784, 200, 100, 10} is Base-MLP (Kosaian, Rashmi and Venkataraman 2018). Inputs of more
// than two axes are flattened: (N, H, W, C) to (N, H·W·C). Parameters are named as in PyTorch's
// nn.Sequential(Linear, ReLU, Linear, ...): "0.weight", "0.bias", "2.weight", ...
struct Mlp : Model {
  // PyTorch's default initialisation. UsageError for fewer than two widths or one below 1.
  Mlp(std::vector<std::int64_t> widths, Generator& generator);

  Tensor forward(const Tensor& x) override;
  void members(Members& m) override;
  std::string describe() const override;
  std::int64_t classes() const override { return widths.back(); }

  std::vector<std::int64_t> widths;
  std::vector<Linear> layers;  // all but the last with ReLU fused in
};

inline const std::vector<std::int64_t> base_mlp_widths = {784, 200, 100, 10};

}  // namespace understudy
