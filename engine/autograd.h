// Reverse-mode automatic differentiation, eager: an op computes its result, records how a gradient
// flows back through it, and returns. Gradients of gradients are not recorded.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <utility>

#include "engine/storage.h"
#include "engine/tensor.h"

namespace understudy {

// One gradient per input of an op, in order; an undefined Tensor where none is wanted.
using Gradients = PoolVector<Tensor>;

// Which inputs of an op want a gradient; an op skips the work for the others.
class Wanted {
 public:
  bool operator[](std::size_t input) const { return bits_ >> input & 1; }
  void set(std::size_t input) { bits_ |= std::uint64_t{1} << input; }
  bool any() const { return bits_ != 0; }
  static constexpr std::size_t max_inputs = 64;

 private:
  std::uint64_t bits_ = 0;
};

struct Node;

// Where the gradient of one input goes: to the op that made it, or to a leaf's .grad().
struct Edge {
  Ref<Node> node;  // null for a leaf
  Tensor leaf;     // undefined for an inner tensor
  Shape shape;     // what the gradient is summed to: the input's own shape before broadcasting
};

// One recorded op.
struct Node : RefCounted {
  const char* op = "";
  std::uint64_t id = 0;  // an op's inputs always have smaller ids
  PoolVector<Edge> edges;
  Wanted wanted;
  Tensor gradient;  // dL/d(output), accumulated while backward() walks
  bool freed = false;
  ~Node() override;
  virtual Gradients backward(const Tensor& dy) = 0;
  virtual void free() = 0;  // drops the closure and all that it saved
};

// A value that a closure needs in backward. Refuses to return one that was changed since.
class Saved {
 public:
  Saved() = default;
  Saved(const Tensor& value)
      : value_(value.defined() ? value.detach() : value),
        version_(value.defined() ? value.version() : 0) {}
  // Error "[op] a tensor that backward needs was changed in place" when its version moved on.
  const Tensor& get(const char* op) const;

 private:
  Tensor value_;
  std::uint32_t version_ = 0;
};

// Recording is per thread and on by default; a guard turns it off in its scope.
bool recording();
class NoGradGuard {
 public:
  NoGradGuard();
  ~NoGradGuard();
  NoGradGuard(const NoGradGuard&) = delete;
  NoGradGuard& operator=(const NoGradGuard&) = delete;

 private:
  bool before_;
};

namespace detail {
Wanted wanted_inputs(std::span<const Tensor> inputs);
void attach(Tensor& output, Ref<Node> node, std::span<const Tensor> inputs);
template <class Closure>
struct ClosureNode final : Node {
  explicit ClosureNode(Closure c) : closure(std::move(c)) {}
  ~ClosureNode() override {
    if (!freed) closure.~Closure();
  }
  Gradients backward(const Tensor& dy) override { return closure(dy, wanted); }
  void free() override {
    if (!freed) closure.~Closure();
    freed = true;
  }
  union {
    Closure closure;  // destroyed by free(), before the node itself
  };
};
}  // namespace detail

// Records `output` = op(inputs). `backward(dy, wanted)` returns the inputs' gradients; those of
// broadcast inputs may have the output's shape, the engine sums them. Nothing is recorded, and the
// closure is dropped, when no input requires a gradient or recording is off.
template <class Closure>
Tensor record(const char* op, Tensor output, std::span<const Tensor> inputs, Closure backward) {
  const Wanted wanted = detail::wanted_inputs(inputs);
  if (!wanted.any()) return output;
  Ref<Node> node(new detail::ClosureNode<Closure>(std::move(backward)));
  node->op = op;
  node->wanted = wanted;
  detail::attach(output, std::move(node), inputs);
  return output;
}
template <class Closure>
Tensor record(const char* op, Tensor output, std::initializer_list<Tensor> inputs,
              Closure backward) {
  return record(op, std::move(output), std::span(inputs.begin(), inputs.size()),
                std::move(backward));
}

// Sums `gradient` over the axes along which `shape` was broadcast to gradient's shape.
Tensor sum_to(const Tensor& gradient, const Shape& shape);

}  // namespace understudy
