// Linear layers and convolutions alike as matrices, for the merges that solve a layer at a time.
#pragma once

#include <functional>
#include <vector>

#include "engine/nn/module.h"
#include "engine/nn/observer.h"
#include "engine/tensor.h"

namespace understudy {

// y = W x: W (out, J) has the bias as its last column, x (J) a 1 as its last element; for a
// convolution x is a window (R, S, C), and each output pixel has one. Without a bias there is
// neither.
class LayerMatrix {
 public:
  static bool fits(const Module& module);  // Linear or Convolution
  // Error for another module.
  explicit LayerMatrix(Module& module);

  Module& module() const { return *module_; }
  bool convolution() const { return convolution_; }
  std::int64_t outputs() const;
  std::int64_t inputs() const;  // J
  Tensor matrix() const;        // (out, J), f64, a copy
  void set(const Tensor& matrix) const;
  // Those of a batch: (rows, J) in the dtype of `input`; a row for each sample, or output pixel.
  Tensor rows(const Tensor& input) const;
  // W x before the activation, (rows, out), in double.
  static Tensor products(const Tensor& rows, const Tensor& matrix);

 private:
  Module* module_;
  bool convolution_;
};

// The layers of a network that have a matrix, in the order in which a forward pass runs them. Error
// when one runs twice or two share a tensor.
std::vector<Module*> layers_in_order(Module& model, const Tensor& input);

// Runs `model`, in evaluation mode and without gradients, on `points` in batches, and calls
// `visit(layer, input)` for every layer with a matrix, in the order in which they run; `layer`
// counts them.
using VisitLayer = std::function<void(std::size_t layer, Module& module, const Tensor& input)>;
void for_each_layer_input(Module& model, const Tensor& points, const VisitLayer& visit,
                          std::int64_t batch_size = 128);

// x · scale off the diagonal of a square matrix (n, n), which stays as it is.
Tensor scaled_off_diagonal(const Tensor& a, double scale);
// Adds `level` times the mean of the diagonal, at least a little, to the diagonal, in place.
void add_ridge(Tensor& a, double level);

}  // namespace understudy
