#include "models/logistic.h"

#include "engine/nn/sequential.h"
#include "kernels/check.h"

namespace understudy {
namespace {

Linear make_layer(std::int64_t inputs, std::int64_t classes, Generator& generator) {
  if (inputs < 1 || classes < 1)
    throw UsageError(
        fmt::format("[logistic] {}-{}: both sizes must be at least 1", inputs, classes));
  return Linear(inputs, classes, generator);
}

}  // namespace

Logistic::Logistic(std::int64_t inputs, std::int64_t classes, Generator& generator)
    : layer(make_layer(inputs, classes, generator)) {}

Tensor Logistic::forward(const Tensor& x) {
  const Tensor flat = flatten(x);
  check(flat.size(1) == layer.in(), "[logistic] input {}: {} values an item, {} expected",
        to_string(x.shape()), flat.size(1), layer.in());
  return layer(flat);
}

std::string Logistic::describe() const {
  return fmt::format("logistic {}-{}", layer.in(), layer.out());
}

}  // namespace understudy
