#include "kernels/cuda/products.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <string_view>
#include <type_traits>
#include <utility>

#include "kernels/check.h"
#include "kernels/cuda/cublas_lt.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/epilogue.h"
#include "kernels/cuda/products_operand.h"
#include "kernels/dispatch.h"
#include "kernels/op_name.h"

namespace understudy::cuda {
namespace {

// What the library may use besides its arguments; NVIDIA's advice for Hopper. Recorded work keeps
// its address, and the order of the stream lets all products share it.
constexpr std::size_t library_workspace = std::size_t{32} << 20;
// Shapes come from layers and the last batch of an epoch, so this many are never seen.
constexpr std::size_t most_plans = 4096;

using Memory = Owned<void*, cudaFree>;

Memory make_memory(std::size_t bytes) {
  void* memory = nullptr;
  UNDERSTUDY_CUDA(cudaMalloc(&memory, bytes));
  return Memory(memory);
}

// The largest power of two up to 256 that divides an address.
std::uint32_t alignment_of(const void* data) {
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  const std::uintptr_t lowest = address & (~address + 1);
  return static_cast<std::uint32_t>(address == 0 ? 256 : std::min<std::uintptr_t>(lowest, 256));
}

}  // namespace

void throw_cublas_error(cublasStatus_t status, const char* call, const char* file, int line) {
  const std::string_view op = OpName::current(), path = file;
  const std::size_t at = path.rfind("kernels/");
  fail("{}cuBLASLt: {} ({}), from {} at {}:{}", op.empty() ? "" : fmt::format("[{}] ", op),
       cublasLtGetStatusString(status), cublasLtGetStatusName(status), call,
       at == path.npos ? path : path.substr(at), line);
}

// cuBLASLt counts columns first, so what it is told is the transpose of everything: the columns
// (N, M) of out are b's (N, K) times a's (K, M).
struct Products::Problem {
  std::int64_t M = 0, N = 0, K = 0;
  cudaDataType_t factors = CUDA_R_32F, result = CUDA_R_32F;
  cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
  bool a_rows = true, b_rows = true;
  std::int64_t a_ld = 0, b_ld = 0;
  bool bias = false, relu = false;  // that the library may do
  std::uint32_t a_alignment = 0, b_alignment = 0, out_alignment = 0, bias_alignment = 0;

  using Key = std::array<std::int64_t, 16>;
  Key key() const {
    return {M,    N,    K,    factors, result,      compute,     a_rows,        b_rows,
            a_ld, b_ld, bias, relu,    a_alignment, b_alignment, out_alignment, bias_alignment};
  }
};

struct Products::Plan {
  MatmulDesc desc;
  MatrixLayout left, right, out;  // as the library sees them: b, a and the result
  cublasLtMatmulAlgo_t algorithm{};
  std::size_t workspace = 0;
  bool bias = false, relu = false;  // that the library does; the rest is a kernel of ours
};

struct Products::Plans {
  CublasHandle handle = make_cublas_handle();
  Memory workspace = make_memory(library_workspace);
  std::map<Problem::Key, std::unique_ptr<Plan>> plans;
};

Products::Products(const Stream& stream) : stream_(stream) {
  static_cast<void>(stream_.use());
  plans_ = std::make_unique<Plans>();
}

Products::~Products() = default;

std::string Products::describe() const {
  const std::size_t version = cublasLtGetVersion();
  return fmt::format("cuBLASLt {}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

std::unique_ptr<Products::Plan> Products::make_plan(const Problem& p, const void* left,
                                                    const void* right, const void* bias,
                                                    void* spare) {
  auto plan = std::make_unique<Plan>();
  plan->desc = make_matmul_desc(p.compute, p.result);
  const auto form = [](bool plain) { return std::int32_t{plain ? CUBLAS_OP_N : CUBLAS_OP_T}; };
  set(plan->desc, CUBLASLT_MATMUL_DESC_TRANSA, form(p.b_rows));
  set(plan->desc, CUBLASLT_MATMUL_DESC_TRANSB, form(p.a_rows));
  plan->left = p.b_rows ? make_layout(p.factors, p.N, p.K, p.b_ld)
                        : make_layout(p.factors, p.K, p.N, p.b_ld);
  plan->right = p.a_rows ? make_layout(p.factors, p.K, p.M, p.a_ld)
                         : make_layout(p.factors, p.M, p.K, p.a_ld);
  plan->out = make_layout(p.result, p.N, p.M, p.N);

  const MatmulPreference preference = make_preference();
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{library_workspace});
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, p.b_alignment);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, p.a_alignment);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, p.out_alignment);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, p.out_alignment);

  // All of the epilogue in the library's kernel, or without the ReLU, or none of it.
  for (const auto& [with_bias, with_relu] :
       {std::pair(true, true), std::pair(true, false), std::pair(false, false)}) {
    plan->bias = p.bias && with_bias;
    plan->relu = p.relu && with_relu;
    const cublasLtEpilogue_t epilogue = plan->bias && plan->relu ? CUBLASLT_EPILOGUE_RELU_BIAS
                                        : plan->bias             ? CUBLASLT_EPILOGUE_BIAS
                                        : plan->relu             ? CUBLASLT_EPILOGUE_RELU
                                                                 : CUBLASLT_EPILOGUE_DEFAULT;
    set(plan->desc, CUBLASLT_MATMUL_DESC_EPILOGUE, static_cast<std::uint32_t>(epilogue));
    set(plan->desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, plan->bias ? bias : nullptr);
    cublasLtMatmulHeuristicResult_t found{};
    int count = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
        plans_->handle.get(), plan->desc.get(), plan->left.get(), plan->right.get(),
        plan->out.get(), plan->out.get(), preference.get(), 1, &found, &count);
    if (status != CUBLAS_STATUS_SUCCESS || count == 0 || found.state != CUBLAS_STATUS_SUCCESS)
      continue;
    plan->algorithm = found.algo;
    plan->workspace = found.workspaceSize;
    if (!plan->relu || (spare != nullptr && keeps_nan(p, *plan, left, right, spare))) return plan;
  }
  fail(
      "[matmul] cuBLASLt has no algorithm for ({},{}) x ({},{}) of this type, stride and alignment",
      p.M, p.K, p.K, p.N);
}

// Whether the library's ReLU leaves a NaN, as the contract wants; max(x, 0) on a GPU does not, and
// its documentation does not say. Tried out once, with NaN times the product.
bool Products::keeps_nan(const Problem& p, const Plan& plan, const void* left, const void* right,
                         void* spare) {
  const std::size_t bytes = p.result == CUDA_R_64F ? sizeof(double) : sizeof(float);
  UNDERSTUDY_CUDA(cudaMemsetAsync(spare, 0, bytes, stream_.use()));
  try {
    run(p, plan, std::numeric_limits<double>::quiet_NaN(), left, right, 0, spare);
  } catch (const Error&) {
    stream_.synchronize();  // throws when the device is lost, and not only this algorithm unusable
    return false;
  }
  double first = 0;
  float first32 = 0;
  void* const to = p.result == CUDA_R_64F ? static_cast<void*>(&first) : &first32;
  UNDERSTUDY_CUDA(cudaMemcpyAsync(to, spare, bytes, cudaMemcpyDeviceToHost, stream_.use()));
  stream_.synchronize();
  return std::isnan(p.result == CUDA_R_64F ? first : double{first32});
}

void Products::run(const Problem& p, const Plan& plan, double alpha, const void* left,
                   const void* right, double beta, void* out) {
  const float alpha32 = static_cast<float>(alpha), beta32 = static_cast<float>(beta);
  const bool wide = p.result == CUDA_R_64F;
  UNDERSTUDY_CUBLAS(cublasLtMatmul(
      plans_->handle.get(), plan.desc.get(), wide ? static_cast<const void*>(&alpha) : &alpha32,
      left, plan.left.get(), right, plan.right.get(),
      wide ? static_cast<const void*>(&beta) : &beta32, out, plan.out.get(), out, plan.out.get(),
      &plan.algorithm, plans_->workspace.get(), plan.workspace, stream_.use()));
  stream_.finish_launch();
}

template <class T>
void Products::multiply(const View& out, const ConstView& a, const ConstView& b,
                        const Epilogue& epilogue, Precision precision, Workspace& scratch) {
  constexpr bool single = std::is_same_v<T, float>;
  Problem p{.M = a.shape[0], .N = b.shape[1], .K = a.shape[1]};
  if (p.M == 0 || p.N == 0) return;
  check(p.M <= most_rows && p.N <= most_rows && p.K <= most_rows,
        "[matmul] {} x {}: sizes above {} are not supported", to_string(a.shape),
        to_string(b.shape), most_rows);
  T* const result = out.as<T>();
  Finish<T> finish{.bias = epilogue.bias == nullptr ? nullptr : epilogue.bias->as<T>(),
                   .relu = epilogue.relu};
  if (p.K == 0)
    return finish_rows(stream_, result, epilogue.accumulate ? result : nullptr, p.M, p.N, finish);

  const bool to_bf16 = single && precision == Precision::bf16;
  p.result = single ? CUDA_R_32F : CUDA_R_64F;
  p.factors = to_bf16 ? CUDA_R_16BF : p.result;
  p.compute = !single                        ? CUBLAS_COMPUTE_64F
              : precision == Precision::tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                             : CUBLAS_COMPUTE_32F;
  ProductOperand left = ProductOperand::of<T>(a, to_bf16),
                 right = ProductOperand::of<T>(b, to_bf16);
  const auto alignment = [](const ProductOperand& o) {
    return o.copied ? 256 : alignment_of(o.data);
  };
  p.a_rows = left.rows, p.a_ld = left.ld, p.a_alignment = alignment(left);
  p.b_rows = right.rows, p.b_ld = right.ld, p.b_alignment = alignment(right);
  p.out_alignment = alignment_of(result);
  // The library reads a bias by 16 bytes. What comes after what it cannot do it cannot do either.
  const bool takes_bias = finish.bias == nullptr || alignment_of(finish.bias) >= 16;
  p.bias = finish.bias != nullptr && takes_bias;
  p.relu = finish.relu && takes_bias;
  p.bias_alignment = p.bias ? alignment_of(finish.bias) : 0;

  const std::scoped_lock lock(mutex_);
  static_cast<void>(stream_.use());  // the library wants its device to be the current one
  const Problem::Key key = p.key();
  auto plan = plans_->plans.find(key);
  const bool tries = plan == plans_->plans.end() && p.relu && !stream_.recording();
  const std::size_t spare = tries ? static_cast<std::size_t>(p.M * p.N) * sizeof(T) : 0;
  std::byte* room = nullptr;
  if (left.bytes + right.bytes + spare > 0)
    room = static_cast<std::byte*>(scratch.get(left.bytes + right.bytes + spare));
  if (left.copied) left.copy_to<T>(stream_, room, a, to_bf16);
  if (right.copied) right.copy_to<T>(stream_, room + left.bytes, b, to_bf16);
  if (plan == plans_->plans.end()) {
    std::unique_ptr<Plan> made = make_plan(p, right.data, left.data, finish.bias,
                                           tries ? room + left.bytes + right.bytes : nullptr);
    if (plans_->plans.size() >= most_plans) plans_->plans.clear();
    plan = plans_->plans.emplace(key, std::move(made)).first;
  }
  const Plan& chosen = *plan->second;
  if (chosen.bias) set(chosen.desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, finish.bias);
  run(p, chosen, 1, right.data, left.data, epilogue.accumulate ? 1 : 0, result);
  if (chosen.bias) finish.bias = nullptr;
  if (chosen.relu) finish.relu = false;
  if (!finish.nothing()) finish_rows(stream_, result, result, p.M, p.N, finish);
}

void Products::matmul(const View& out, const ConstView& a, const ConstView& b,
                      const Epilogue& epilogue, Precision precision, Workspace& scratch) {
  with_float(out.dtype,
             [&]<class T>(Type<T>) { multiply<T>(out, a, b, epilogue, precision, scratch); });
}

}  // namespace understudy::cuda
