// Products, naively in double, with the checks that the vendor documents. What it refuses, the real
// library may take; what it takes, the real one must.
#include "cublasLt.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "emulated.h"
#include "emulated_libraries.h"

struct cublasLtContext {};
struct EmulatedLayout {
  cudaDataType_t type;
  std::int64_t rows, columns, ld;
  friend bool operator==(const EmulatedLayout&, const EmulatedLayout&) = default;
};
struct EmulatedMatmulDesc {
  cublasComputeType_t compute;
  cudaDataType_t scale;
  std::int32_t a = CUBLAS_OP_N, b = CUBLAS_OP_N;
  std::uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const void* bias = nullptr;
};
struct EmulatedPreference {
  std::uint64_t workspace = 0;
  std::uint32_t alignment[4] = {256, 256, 256, 256};
};

namespace emulated {
namespace {

// What an algorithm of ours needs, packed into the vendor's opaque block.
struct Algorithm {
  std::uint64_t problem;  // it was made for
  std::uint32_t alignment[4];
  std::uint64_t workspace;
};
static_assert(sizeof(Algorithm) <= sizeof(cublasLtMatmulAlgo_t));

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  return (hash ^ value) * 0x9E3779B97F4A7C15u + 0x1234567u;
}
std::uint64_t problem_of(const EmulatedMatmulDesc& desc,
                         const EmulatedLayout* const (&layouts)[4]) {
  std::uint64_t hash = 1;
  for (const std::int64_t value :
       {std::int64_t{desc.compute}, std::int64_t{desc.scale}, std::int64_t{desc.a},
        std::int64_t{desc.b}, std::int64_t{desc.epilogue}})
    hash = mix(hash, static_cast<std::uint64_t>(value));
  for (const EmulatedLayout* layout : layouts)
    for (const std::int64_t value :
         {std::int64_t{layout->type}, layout->rows, layout->columns, layout->ld})
      hash = mix(hash, static_cast<std::uint64_t>(value));
  return hash;
}

std::size_t size_of(cudaDataType_t type) {
  return type == CUDA_R_64F ? 8 : type == CUDA_R_32F ? 4 : 2;
}

// The table of cublasLtMatmul(), for the types that the project uses.
bool types_supported(const EmulatedMatmulDesc& desc, const EmulatedLayout* const (&l)[4]) {
  if (l[0]->type != l[1]->type || l[2]->type != l[3]->type) return false;
  switch (desc.compute) {
    case CUBLAS_COMPUTE_64F:
      return desc.scale == CUDA_R_64F && l[0]->type == CUDA_R_64F && l[3]->type == CUDA_R_64F;
    case CUBLAS_COMPUTE_32F:
      return desc.scale == CUDA_R_32F && l[3]->type == CUDA_R_32F &&
             (l[0]->type == CUDA_R_32F || l[0]->type == CUDA_R_16BF);
    case CUBLAS_COMPUTE_32F_FAST_TF32:
      return desc.scale == CUDA_R_32F && l[3]->type == CUDA_R_32F && l[0]->type == CUDA_R_32F;
  }
  return false;
}

// Whether the shapes fit, columns counted first: D (m, n) = A (m, k) · B (k, n).
cublasStatus_t check_problem(const EmulatedMatmulDesc& desc, const EmulatedLayout* const (&l)[4]) {
  for (const EmulatedLayout* layout : l)
    if (layout->rows <= 0 || layout->columns <= 0 || layout->ld < layout->rows ||
        layout->rows > 0x7fffffff || layout->columns > 0x7fffffff)
      return CUBLAS_STATUS_INVALID_VALUE;
  const auto swaps = [](std::int32_t op) { return op != CUBLAS_OP_N; };
  const std::int64_t m = swaps(desc.a) ? l[0]->columns : l[0]->rows;
  const std::int64_t k = swaps(desc.a) ? l[0]->rows : l[0]->columns;
  const std::int64_t k_of_b = swaps(desc.b) ? l[1]->columns : l[1]->rows;
  const std::int64_t n = swaps(desc.b) ? l[1]->rows : l[1]->columns;
  if (k != k_of_b || m != l[3]->rows || n != l[3]->columns || l[2]->rows != m || l[2]->columns != n)
    return CUBLAS_STATUS_INVALID_VALUE;
  if (!types_supported(desc, l)) return CUBLAS_STATUS_NOT_SUPPORTED;
  const bool has_bias =
      desc.epilogue == CUBLASLT_EPILOGUE_BIAS || desc.epilogue == CUBLASLT_EPILOGUE_RELU_BIAS;
  if (has_bias && desc.bias == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  if (library_manners().refuses_products) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (library_manners().refuses_epilogues && desc.epilogue != CUBLASLT_EPILOGUE_DEFAULT)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  return CUBLAS_STATUS_SUCCESS;
}

double element(const void* data, cudaDataType_t type, std::int64_t at, bool tf32) {
  if (type == CUDA_R_64F) return static_cast<const double*>(data)[at];
  if (type == CUDA_R_16BF) return double{from_bf16(static_cast<const unsigned short*>(data)[at])};
  const float value = static_cast<const float*>(data)[at];
  return double{tf32 ? to_tf32(value) : value};
}

std::size_t extent(const EmulatedLayout& l) {
  return static_cast<std::size_t>((l.columns - 1) * l.ld + l.rows) * size_of(l.type);
}
bool is_aligned(const void* data, std::uint32_t bytes) {
  return reinterpret_cast<std::uintptr_t>(data) % bytes == 0;
}

}  // namespace

}  // namespace emulated

using namespace emulated;

const char* cublasLtGetStatusName(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    default:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
  }
}
const char* cublasLtGetStatusString(cublasStatus_t status) { return cublasLtGetStatusName(status); }
std::size_t cublasLtGetVersion() { return 130101; }

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = new cublasLtContext;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type,
                                          std::uint64_t rows, std::uint64_t columns,
                                          std::int64_t ld) {
  *layout = new EmulatedLayout{type, static_cast<std::int64_t>(rows),
                               static_cast<std::int64_t>(columns), ld};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete layout;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* desc, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  *desc = new EmulatedMatmulDesc{.compute = compute, .scale = scale};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) {
  delete desc;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, std::size_t bytes) {
  const auto take = [&](auto& member) {
    if (value == nullptr || bytes != sizeof member) return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(&member, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
  };
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return take(desc->a);
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return take(desc->b);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return take(desc->epilogue);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return take(desc->bias);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = new EmulatedPreference;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete preference;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, std::size_t bytes) {
  const bool is_size = attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES;
  if (value == nullptr || bytes != (is_size ? 8 : 4)) return CUBLAS_STATUS_INVALID_VALUE;
  if (is_size)
    std::memcpy(&preference->workspace, value, bytes);
  else
    std::memcpy(&preference->alignment[attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES],
                value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t results[],
                                              int* count) {
  if (handle == nullptr || wanted <= 0) return CUBLAS_STATUS_INVALID_VALUE;
  ++library_counts().products_heuristics;
  *count = 0;
  const EmulatedLayout* const layouts[] = {a, b, c, d};
  if (const cublasStatus_t status = check_problem(*desc, layouts); status != CUBLAS_STATUS_SUCCESS)
    return status;
  // Half of the problems "need" some of the workspace.
  Algorithm algorithm{.problem = problem_of(*desc, layouts), .alignment = {}, .workspace = 0};
  std::memcpy(algorithm.alignment, preference->alignment, sizeof algorithm.alignment);
  if (algorithm.problem % 2 == 1)
    algorithm.workspace = std::min<std::uint64_t>(preference->workspace, 1 << 16);
  results[0] = {};
  std::memcpy(&results[0].algo, &algorithm, sizeof algorithm);
  results[0].workspaceSize = algorithm.workspace;
  results[0].state = CUBLAS_STATUS_SUCCESS;
  *count = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void* alpha,
                              const void* A, cublasLtMatrixLayout_t a, const void* B,
                              cublasLtMatrixLayout_t b, const void* beta, const void* C,
                              cublasLtMatrixLayout_t c, void* D, cublasLtMatrixLayout_t d,
                              const cublasLtMatmulAlgo_t* algo, void* workspace,
                              std::size_t workspace_bytes, cudaStream_t stream) {
  if (handle == nullptr || alpha == nullptr || beta == nullptr || algo == nullptr)
    return CUBLAS_STATUS_INVALID_VALUE;
  ++library_counts().products;
  const EmulatedLayout* const layouts[] = {a, b, c, d};
  if (const cublasStatus_t status = check_problem(*desc, layouts); status != CUBLAS_STATUS_SUCCESS)
    return status;
  Algorithm algorithm;
  std::memcpy(&algorithm, algo, sizeof algorithm);
  const void* const data[] = {A, B, C, D};
  if (algorithm.problem != problem_of(*desc, layouts) || workspace_bytes < algorithm.workspace ||
      (C == D && !(*c == *d)))
    return CUBLAS_STATUS_INVALID_VALUE;
  for (int i = 0; i < 4; ++i)
    if (!is_aligned(data[i], algorithm.alignment[i]) ||
        !is_device_memory(data[i], extent(*layouts[i])))
      return CUBLAS_STATUS_EXECUTION_FAILED;
  if (workspace_bytes > 0 &&
      (!is_aligned(workspace, 256) || !is_device_memory(workspace, workspace_bytes)))
    return CUBLAS_STATUS_INVALID_VALUE;
  const bool has_bias =
      desc->epilogue == CUBLASLT_EPILOGUE_BIAS || desc->epilogue == CUBLASLT_EPILOGUE_RELU_BIAS;
  const bool has_relu =
      desc->epilogue == CUBLASLT_EPILOGUE_RELU || desc->epilogue == CUBLASLT_EPILOGUE_RELU_BIAS;
  if (has_bias &&
      (!is_aligned(desc->bias, 16) ||
       !is_device_memory(desc->bias, static_cast<std::size_t>(d->rows) * size_of(d->type))))
    return CUBLAS_STATUS_EXECUTION_FAILED;
  const auto scalar = [&](const void* value) {
    return desc->scale == CUDA_R_64F ? *static_cast<const double*>(value)
                                     : double{*static_cast<const float*>(value)};
  };
  const cudaError_t error =
      enqueue(stream, [=, desc = *desc, a = *a, b = *b, d = *d, alpha = scalar(alpha),
                       beta = scalar(beta), relu_drops_nan = library_manners().relu_drops_nan] {
        if (workspace_bytes > 0) std::memset(workspace, 0xCD, workspace_bytes);
        const bool tf32 = desc.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
        const std::int64_t k = desc.a == CUBLAS_OP_N ? a.columns : a.rows;
        // One column of B at a time, and sums over columns of A, so that memory is read in order.
        std::vector<double> column(static_cast<std::size_t>(k)), sums;
        for (std::int64_t j = 0; j < d.columns; ++j) {
          for (std::int64_t i = 0; i < k; ++i)
            column[static_cast<std::size_t>(i)] =
                element(B, b.type, desc.b == CUBLAS_OP_N ? j * b.ld + i : i * b.ld + j, tf32);
          sums.assign(static_cast<std::size_t>(d.rows), 0);
          for (std::int64_t i = 0; i < d.rows; ++i)
            for (std::int64_t l = 0; l < k; ++l)
              sums[static_cast<std::size_t>(i)] +=
                  element(A, a.type, desc.a == CUBLAS_OP_N ? l * a.ld + i : i * a.ld + l, tf32) *
                  column[static_cast<std::size_t>(l)];
          for (std::int64_t i = 0; i < d.rows; ++i) {
            const std::int64_t at = j * d.ld + i;
            double value = alpha * sums[static_cast<std::size_t>(i)];
            if (beta != 0) value += beta * element(C, d.type, at, false);
            if (has_bias) value += element(desc.bias, d.type, i, false);
            if (has_relu && (value < 0 || (relu_drops_nan && std::isnan(value)))) value = 0;
            if (d.type == CUDA_R_64F)
              static_cast<double*>(D)[at] = value;
            else
              static_cast<float*>(D)[at] = static_cast<float>(value);
          }
        }
      });
  return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
