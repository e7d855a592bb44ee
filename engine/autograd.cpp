#include "engine/autograd.h"

#include <algorithm>
#include <atomic>

#include "engine/ops.h"
#include "engine/profile.h"
#include "engine/tensor_body.h"
#include "kernels/backend.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace understudy {
namespace {

thread_local bool recording_here = true;
std::atomic<std::uint64_t> next_id{1};

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

// A leaf's gradient is dense and its own, so that clipping may scale it and
// optimisers read it flat.
void accumulate_leaf(Tensor& into, Tensor gradient) {
  accumulate(into, std::move(gradient));
  if (!into.owns_storage_alone() || !into.is_contiguous()) into = clone(into);
}

// The ops that a gradient has reached, newest first: all users of a tensor are newer than the op
// that made it, so that an op's turn comes when its gradient is complete.
class Pending {
 public:
  // When an exception ended the walk: another one must not find what this one left behind.
  ~Pending() {
    for (const Ref<Node>& node : queue_) node->gradient = {};
  }
  bool empty() const { return queue_.empty(); }
  void add(const Ref<Node>& node, Tensor gradient) {
    if (!node->gradient.defined()) {
      queue_.push_back(node);
      std::push_heap(queue_.begin(), queue_.end(), older);
    }
    accumulate(node->gradient, std::move(gradient));
  }
  Ref<Node> pop() {
    std::pop_heap(queue_.begin(), queue_.end(), older);
    Ref<Node> node = std::move(queue_.back());
    queue_.pop_back();
    return node;
  }

 private:
  static bool older(const Ref<Node>& a, const Ref<Node>& b) { return a->id < b->id; }
  PoolVector<Ref<Node>> queue_;
};

}  // namespace

// A chain of ops may be longer than the stack is deep, so the ops behind this one are taken apart
// in a loop: one that nobody else holds gives up its edges before it goes.
Node::~Node() {
  PoolVector<Edge> doomed = std::move(edges);
  while (!doomed.empty()) {
    const Edge edge = std::move(doomed.back());
    doomed.pop_back();
    if (!edge.node.unique()) continue;
    for (Edge& next : edge.node->edges)
      if (next.node) doomed.push_back(std::move(next));
  }
}

bool recording() { return recording_here; }
NoGradGuard::NoGradGuard() : before_(recording_here) { recording_here = false; }
NoGradGuard::~NoGradGuard() { recording_here = before_; }

const Tensor& Saved::get(const char* op) const {
  if (value_.defined())
    check(value_.version() == version_,
          "[{}] a tensor of shape {} that backward needs was changed in place after it was used; "
          "clone() it before changing it",
          op, value_.shape());
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
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].defined() || !inputs[i].requires_grad()) continue;
    check(i < Wanted::max_inputs, "gradients flow to at most {} inputs of an op, found {}",
          Wanted::max_inputs, inputs.size());
    wanted.set(i);
  }
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
        shape());
  backward(Tensor::ones(shape(), dtype(), device()));
}

void Tensor::backward(const Tensor& seed, AfterBackward after) const {
  check(requires_grad(),
        "[backward] this tensor does not depend on anything that requires a "
        "gradient");
  check(seed.shape() == shape() && seed.dtype() == dtype() && seed.device() == device(),
        "[backward] the seed is {} of {} on {}, the tensor is {} of {} on {}", seed.shape(),
        seed.dtype(), seed.device(), shape(), dtype(), device());
  NoGradGuard no_grad;
  if (is_leaf()) return accumulate_leaf(body_->gradient, seed);

  Pending pending;
  pending.add(body_->producer, seed);
  while (!pending.empty()) {
    const Ref<Node> node = pending.pop();
    const Tensor dy = std::exchange(node->gradient, {});
    check(!node->freed,
          "[backward] the graph behind '{}' was already used and freed by an earlier "
          "backward(); run the forward pass again",
          node->op);
    const ProfileScope scope(node->op, ProfileScope::Pass::backward);
    Gradients dx = node->backward(dy);
    check(dx.size() == node->edges.size(), "[{}] its backward gives {} gradients for {} inputs",
          node->op, dx.size(), node->edges.size());
    const bool keep = after == AfterBackward::keep_graph;
    if (!keep) node->free();
    for (std::size_t i = 0; i < dx.size(); ++i) {
      const Edge edge = keep ? node->edges[i] : std::move(node->edges[i]);
      if (!node->wanted[i] || !dx[i].defined()) continue;
      Tensor gradient = sum_to(std::exchange(dx[i], {}), edge.shape);
      if (edge.leaf.defined())
        accumulate_leaf(edge.leaf.body()->gradient, std::move(gradient));
      else
        pending.add(edge.node, std::move(gradient));
    }
  }
}

}  // namespace understudy
