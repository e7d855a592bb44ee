// What a Tensor handle points to. Only tensor.cpp and autograd.cpp look inside.
#pragma once

#include "engine/autograd.h"
#include "engine/tensor.h"

namespace understudy {

struct TensorBody : RefCounted {
  Ref<Storage> storage;
  Shape shape;
  Strides strides;
  std::int64_t offset = 0;  // elements from the storage's start
  DType dtype = DType::f32;
  bool requires_grad = false;
  Tensor gradient;     // of a leaf, after backward()
  Ref<Node> producer;  // the recorded op that made it; null for a leaf
};

}  // namespace understudy
