// Matrix products at the sizes of fully connected layers, the engine's beside OpenBLAS's own.
#include <fmt/format.h>

#include <cmath>

#include "kernels/backend.h"
#include "kernels/cpu/blas.h"
#include "kernels/parallel.h"
#include "tools/bench_kernels/measurement.h"

namespace understudy::bench {
namespace {

// (M, K) · (K, N). `form` says which operand is stored transposed, as in BLAS: "nt" is a layer's
// forward pass (its weights are (N, K)), "nn" its gradient for the input, "tn" that for the weights.
struct Product {
  std::int64_t M, N, K;
  const char* form;

  bool transposed(int operand) const { return form[operand] == 't'; }
  Shape a() const { return transposed(0) ? Shape{K, M} : Shape{M, K}; }
  Shape b() const { return transposed(1) ? Shape{N, K} : Shape{K, N}; }
};

constexpr Product all[] = {
    // Base-MLP, 64 images
    {64, 200, 784, "nt"},
    {64, 100, 200, "nt"},
    {64, 10, 100, "nt"},
    {64, 200, 100, "nn"},
    {200, 784, 64, "tn"},
    // MLPEncoder, k = 2, 64 groups
    {64, 1568, 1568, "nt"},
    {64, 784, 1568, "nt"},
    {1568, 1568, 64, "tn"},
    // ResNet-18's last layer, 64 images
    {64, 10, 512, "nt"},
    // what a machine can
    {512, 512, 512, "nn"},
    {1024, 1024, 1024, "nn"},
    {2048, 2048, 2048, "nn"},
};

ConstView operand(const Tensor& stored, bool transposed) {
  const ConstView v = stored.view();
  if (!transposed) return v;
  return {v.data, v.dtype, {v.shape[1], v.shape[0]}, {v.strides[1], v.strides[0]}};
}

// OpenBLAS with its own threads, as a program without a pool would call it.
void multiply_by_openblas(const Product& p, const Tensor& a, const Tensor& b, Tensor& out) {
  namespace blas = cpu::blas;
  const auto form = [&](int i) { return p.transposed(i) ? blas::transposed : blas::plain; };
  blas::openblas_set_num_threads(num_threads());
  blas::gemm(form(0), form(1), static_cast<int>(p.M), static_cast<int>(p.N), static_cast<int>(p.K),
             a.data<float>().data(), static_cast<int>(a.size(1)), b.data<float>().data(),
             static_cast<int>(b.size(1)), 0.0f, out.mutable_data<float>().data(),
             static_cast<int>(p.N));
  blas::openblas_set_num_threads(1);
}

void check_product(const Product& p, const Tensor& a, const Tensor& b, const Tensor& out) {
  const std::vector<float> left = a.to_vector<float>(), right = b.to_vector<float>();
  check_sample(out, bound_of_products(1e-5, out.device()), [&](std::int64_t i) {
    const std::int64_t m = i / p.N, n = i % p.N;
    double sum = 0;
    for (std::int64_t k = 0; k < p.K; ++k)
      sum += static_cast<double>(
                 left[static_cast<std::size_t>(p.transposed(0) ? k * p.M + m : m * p.K + k)]) *
             static_cast<double>(
                 right[static_cast<std::size_t>(p.transposed(1) ? n * p.K + k : k * p.N + n)]);
    return sum;
  });
}

Measurement measurement(const Product& p, Device device, bool openblas) {
  Measurement m;
  m.name = fmt::format("matmul/M{}_N{}_K{}_{}/{}", p.M, p.N, p.K, p.form,
                       openblas ? "openblas" : "engine");
  m.flops = 2.0 * static_cast<double>(p.M * p.N * p.K);
  m.prepare = [p, device, openblas]() -> std::function<void()> {
    const Tensor a = random(p.a(), 1, device), b = random(p.b(), 2, device);
    Tensor out = Tensor::full({p.M, p.N}, std::nan(""), DType::f32, device);
    std::function<void()> call;
    if (openblas)
      call = [p, a, b, out]() mutable { multiply_by_openblas(p, a, b, out); };
    else
      call = [p, a, b, out]() mutable {
        backend(out.device())
            .matmul(out.mutable_view(), operand(a, p.transposed(0)), operand(b, p.transposed(1)),
                    {});
      };
    call();
    check_product(p, a, b, out);
    return call;
  };
  return m;
}

}  // namespace

std::vector<Measurement> products(Device device) {
  std::vector<Measurement> list;
  for (const Product& p : all) {
    list.push_back(measurement(p, device, false));
    if (device.kind == DeviceKind::cpu) list.push_back(measurement(p, device, true));
  }
  return list;
}

}  // namespace understudy::bench
