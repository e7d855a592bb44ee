#include "engine/nn/sequential.h"

#include "kernels/check.h"

namespace understudy {

Tensor flatten(const Tensor& x) {
  check(x.rank() >= 1, "[flatten] a tensor of rank 0 has no axis of items");
  if (x.rank() == 2) return x;
  // Counted here rather than asked for as -1, which has no answer when there are no items.
  std::int64_t values = 1;
  for (int axis = 1; axis < x.rank(); ++axis) values *= x.size(axis);
  return reshape(x, {x.size(0), values});
}

Tensor Flatten::forward(const Tensor& x) { return flatten(x); }

Sequential& Sequential::add(std::unique_ptr<Module> module) {
  check(module != nullptr, "[Sequential] child {} is null", modules_.size());
  modules_.push_back(std::move(module));
  return *this;
}

Module& Sequential::operator[](std::size_t index) {
  check(index < modules_.size(), "[Sequential] no child {}: there are {}", index, modules_.size());
  return *modules_[index];
}

Tensor Sequential::forward(const Tensor& x) {
  Tensor y = x;
  for (const auto& module : modules_) y = (*module)(y);
  return y;
}

void Sequential::members(Members& m) {
  for (std::size_t i = 0; i < modules_.size(); ++i) m.child(std::to_string(i), *modules_[i]);
}

}  // namespace understudy
