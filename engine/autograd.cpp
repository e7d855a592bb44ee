#include "engine/autograd.h"

#include <algorithm>
#include <atomic>

#include "engine/ops.h"
#include "engine/tensor_body.h"
#include "kernels/backend.h"
#include "kernels/check.h"

namespace understudy {
namespace {

thread_local bool recording_here = true;
std::atomic<std::uint64_t> next_id{1};

bool older(const Ref<Node>& a, const Ref<Node>& b) { return a->id < b->id; }

// into += gradient. The first gradient is kept as it is; a sum is made in place only in memory that
// nobody else can see, because ops may return the same tensor for two inputs.
void accumulate(Tensor& into, Tensor gradient) {
  if (!into.defined()) {
    into = std::move(gradient);
  } else if (into.owns_storage_alone() && into.is_contiguous()) {
    backend(into.device()).binary(Binary::add, into.mutable_view(), into.view(), gradient.view());
  } else {
    into = add(into, gradient);
  }
}

// A leaf's gradient is dense and its own, so that clipping may scale it and optimisers read it
// flat.
void accumulate_leaf(Tensor& into, Tensor gradient) {
  accumulate(into, std::move(gradient));
  if (!into.owns_storage_alone() || !into.is_contiguous()) into = clone(into);
}

}  // namespace

bool recording() { return recording_here; }
NoGradGuard::NoGradGuard() : before_(recording_here) { recording_here = false; }
NoGradGuard::~NoGradGuard() { recording_here = before_; }

const Tensor& Saved::get(const char* op) const {
  check(!value_.defined() || value_.version() == version_,
        "[{}] a tensor of shape {} that backward needs was changed in place after it was used; "
        "clone() it before changing it",
        op, to_string(value_.shape()));
  return value_;
}

Tensor sum_to(const Tensor& gradient, const Shape& shape) {
  if (gradient.shape() == shape) return gradient;
  // Seen at gradient's rank, the axes of size 1 in `shape` are those that were repeated.
  Shape kept = Shape::filled(gradient.rank(), 1);
  const int shift = gradient.rank() - shape.rank();
  for (int i = 0; i < shape.rank(); ++i) kept[i + shift] = shape[i];
  Tensor out = Tensor::empty(kept, gradient.dtype(), gradient.device());
  backend(out.device()).reduce(Reduction::sum, out.mutable_view(), gradient.view());
  return out.alias(shape, contiguous_strides(shape));
}

namespace detail {

Wanted wanted_inputs(std::span<const Tensor> inputs) {
  Wanted wanted;
  if (!recording_here) return wanted;
  check(inputs.size() <= Wanted::max_inputs, "an op takes at most {} tensors, not {}",
        Wanted::max_inputs, inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].defined() && inputs[i].requires_grad()) wanted.set(i);
  return wanted;
}

void attach(Tensor& output, Ref<Node> node, std::span<const Tensor> inputs) {
  node->id = next_id.fetch_add(1, std::memory_order_relaxed);
  node->edges.resize(inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!node->wanted[i]) continue;
    const TensorBody& input = *inputs[i].body();
    Edge& edge = node->edges[i];
    edge.shape = input.shape;
    if (input.producer)
      edge.node = input.producer;
    else
      edge.leaf = inputs[i];
  }
  output.body()->requires_grad = true;
  output.body()->producer = std::move(node);
}

}  // namespace detail

void Tensor::backward() const {
  check(count() == 1,
        "[backward] needs one number to start from, not a tensor of shape {}; take a "
        "mean or sum, or pass a seed",
        to_string(shape()));
  backward(Tensor::ones(shape(), dtype(), device()));
}

void Tensor::backward(const Tensor& seed) const {
  check(requires_grad(),
        "[backward] this tensor does not depend on anything that requires a "
        "gradient");
  check(seed.shape() == shape() && seed.dtype() == dtype(),
        "[backward] the seed is {} of {}, the tensor is {} of {}", to_string(seed.shape()),
        to_string(seed.dtype()), to_string(shape()), to_string(dtype()));
  NoGradGuard no_grad;
  if (is_leaf()) return accumulate_leaf(body_->gradient, seed);

  // Newest op first: all users of a tensor are newer than the op that made it, so an op is reached
  // only when its gradient is complete.
  PoolVector<Ref<Node>> queue;
  body_->producer->gradient = seed;
  queue.push_back(body_->producer);
  while (!queue.empty()) {
    std::pop_heap(queue.begin(), queue.end(), older);
    const Ref<Node> node = std::move(queue.back());
    queue.pop_back();
    check(!node->freed,
          "[backward] the graph behind '{}' was already used and freed by an earlier "
          "backward(); run the forward pass again",
          node->op);
    const Tensor dy = std::exchange(node->gradient, {});
    Gradients dx = node->backward(dy);
    node->free();
    for (std::size_t i = 0; i < node->edges.size(); ++i) {
      Edge edge = std::move(node->edges[i]);
      if (!node->wanted[i] || !dx[i].defined()) continue;
      Tensor gradient = sum_to(std::exchange(dx[i], {}), edge.shape);
      if (edge.leaf.defined()) {
        accumulate_leaf(edge.leaf.body()->gradient, std::move(gradient));
        continue;
      }
      if (!edge.node->gradient.defined()) {
        queue.push_back(edge.node);
        std::push_heap(queue.begin(), queue.end(), older);
      }
      accumulate(edge.node->gradient, std::move(gradient));
    }
  }
}

}  // namespace understudy
