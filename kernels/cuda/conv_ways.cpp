// The ways to compute a convolution: kernels of our own, one product of matrices, the library.
#include <limits>

#include "kernels/check.h"
#include "kernels/cuda/conv_implicit.h"
#include "kernels/cuda/convolution.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/dense_copy.h"
#include "kernels/cuda/products.h"

namespace understudy::cuda {
namespace {

constexpr std::size_t aligned(std::size_t bytes) { return (bytes + 255) / 256 * 256; }

// Images and filters as matrices: (pixels, channels) and (filters, channels).
template <class T>
ConstView matrix(const T* data, std::int64_t rows, std::int64_t columns) {
  return {data, dtype_of<T>, {rows, columns}, {columns, 1}};
}
template <class T>
View matrix(T* data, std::int64_t rows, std::int64_t columns) {
  return {data, dtype_of<T>, {rows, columns}, {columns, 1}};
}
ConstView transposed(const ConstView& m) {
  return {m.data, m.dtype, {m.shape[1], m.shape[0]}, {m.strides[1], m.strides[0]}};
}

}  // namespace

template <class T>
void Convolutions::own(const ConvCall<T>& call, void* room) const {
  check_implicit(call.shape);
  switch (call.pass) {
    case ConvPass::forward:
      return implicit_forward(stream_, call.shape, call.out, call.a, call.b, call.finish);
    case ConvPass::input_gradient:
      return implicit_input_gradient(stream_, call.shape, call.out, call.a, call.b);
    case ConvPass::weight_gradient:
      return implicit_weight_gradient(stream_, call.shape, call.out, call.a, call.b, room);
  }
}

template <class T>
void Convolutions::product(const ConvCall<T>& call, const ConvMeans& means) const {
  const ConvShape& s = call.shape;
  const std::int64_t pixels = s.N * s.P * s.Q;
  const auto multiply = [&](const View& out, const ConstView& a, const ConstView& b,
                            const Epilogue& epilogue) {
    means.products.matmul(out, a, b, epilogue, means.numerics.precision, means.scratch);
  };
  switch (call.pass) {
    case ConvPass::forward: {
      const Finish<T>& finish = call.finish;
      const bool plain = finish.scale == nullptr && finish.residual == nullptr;
      const ConstView bias(finish.bias, dtype_of<T>, {s.K}, {1});
      Epilogue epilogue;
      if (plain) epilogue = {.bias = finish.bias ? &bias : nullptr, .relu = finish.relu};
      multiply(matrix(call.out, pixels, s.K), matrix(call.a, pixels, s.C),
               transposed(matrix(call.b, s.K, s.C)), epilogue);
      if (!plain) finish_rows(stream_, call.out, call.out, pixels, s.K, finish);
      return;
    }
    case ConvPass::input_gradient:
      return multiply(matrix(call.out, pixels, s.C), matrix(call.a, pixels, s.K),
                      matrix(call.b, s.K, s.C), {});
    case ConvPass::weight_gradient:
      return multiply(matrix(call.out, s.K, s.C), transposed(matrix(call.a, pixels, s.K)),
                      matrix(call.b, pixels, s.C), {});
  }
}

std::size_t Convolutions::bytes_for(const Entry& entry, const ConvPlan& plan) const {
  if (plan.kind == ConvPlan::Kind::product) return 0;
  const ConvProblem& p = entry.problem;
  const ConvWork work{p.pass, p.shape};
  if (plan.kind == ConvPlan::Kind::implicit)
    return p.pass == ConvPass::weight_gradient ? weight_gradient_bytes(p.shape, DType::f32) : 0;
  const std::size_t copies = p.precision != Precision::bf16
                                 ? 0
                                 : aligned(work.a_count() * sizeof(Bf16)) +
                                       aligned(work.b_count() * sizeof(Bf16)) +
                                       aligned(work.out_count() * sizeof(Bf16));
  return copies + entry.offer_of(plan)->workspace;
}

bool Convolutions::compute(Entry& entry, const ConvPlan& plan, const ConvCall<float>& call,
                           const ConvMeans& means, void* room) {
  switch (plan.kind) {
    case ConvPlan::Kind::implicit:
      own(call, room);
      return true;
    case ConvPlan::Kind::product:
      product(call, means);
      return true;
    case ConvPlan::Kind::library:
      break;
  }
  const ConvOffer& offer = *entry.offer_of(plan);
  const Finish<float>& finish = call.finish;
  const auto rows = static_cast<std::int64_t>(call.out_count()) / call.columns();
  if (entry.problem.precision == Precision::bf16) {
    // The factors rounded, the result rounded and then widened on its way through the epilogue.
    auto* at = static_cast<std::byte*>(room);
    const auto take = [&](std::size_t count) {
      auto* const piece = reinterpret_cast<Bf16*>(at);
      at += aligned(count * sizeof(Bf16));
      return piece;
    };
    Bf16* const a = take(call.a_count());
    Bf16* const b = take(call.b_count());
    Bf16* const out = take(call.out_count());
    convert(stream_, a, call.a, static_cast<std::int64_t>(call.a_count()));
    convert(stream_, b, call.b, static_cast<std::int64_t>(call.b_count()));
    const bool done = entry.conv->run(offer, a, b, out, at);
    stream_.finish_launch();
    if (done) finish_rows(stream_, call.out, out, rows, call.columns(), finish);
    return done;
  }
  if (finish.bias != nullptr && finish.relu && finish.scale == nullptr &&
      takes_library(finish.bias) && takes_library(finish.residual) && fuses(entry, offer, call)) {
    if (entry.conv->run_fused(offer, call.a, call.b, call.out, 1, finish.bias, finish.residual,
                              room)) {
      stream_.finish_launch();
      return true;
    }
    entry.fused = false;
  }
  const bool done = entry.conv->run(offer, call.a, call.b, call.out, room);
  stream_.finish_launch();
  if (done && !finish.nothing())
    finish_rows(stream_, call.out, call.out, rows, call.columns(), finish);
  return done;
}

// Whether the library does this convolution with bias and ReLU at once, and its ReLU leaves a NaN as
// the contract wants. Tried out once, with NaN times the convolution.
bool Convolutions::fuses(Entry& entry, const ConvOffer& offer, const ConvCall<float>& call) {
  if (entry.fused) return *entry.fused;
  entry.fused = false;
  if (stream_.recording()) return false;
  const std::size_t result = aligned(call.out_count() * sizeof(float));
  const OwnedMemory memory = try_device_memory(result + offer.workspace);
  if (!memory) return false;
  auto* const y = static_cast<float*>(memory.get());
  UNDERSTUDY_CUDA(cudaMemsetAsync(y, 0, result, stream_.use()));
  float first = 0;
  try {
    if (!entry.conv->run_fused(offer, call.a, call.b, y, std::numeric_limits<float>::quiet_NaN(),
                               call.finish.bias, nullptr,
                               static_cast<std::byte*>(memory.get()) + result))
      return false;
    UNDERSTUDY_CUDA(
        cudaMemcpyAsync(&first, y, sizeof first, cudaMemcpyDeviceToHost, stream_.use()));
  } catch (const Error&) {
    stream_.synchronize();  // throws when the device is lost
    return false;
  }
  stream_.synchronize();
  entry.fused = first != first;
  return *entry.fused;
}

template void Convolutions::own(const ConvCall<float>&, void*) const;
template void Convolutions::own(const ConvCall<double>&, void*) const;
template void Convolutions::product(const ConvCall<float>&, const ConvMeans&) const;
template void Convolutions::product(const ConvCall<double>&, const ConvMeans&) const;

}  // namespace understudy::cuda
