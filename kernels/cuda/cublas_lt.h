// cuBLASLt as C++: every call checked, everything owned by an object.
#pragma once

#include <cublasLt.h>

#include "kernels/cuda/runtime.h"

namespace understudy::cuda {

// Throws Error with the public op under way, the call's text and place, and the library's words.
[[noreturn]] void throw_cublas_error(cublasStatus_t status, const char* call, const char* file,
                                     int line);
#define UNDERSTUDY_CUBLAS(call)                                                   \
  do {                                                                            \
    if (const cublasStatus_t status_ = (call); status_ != CUBLAS_STATUS_SUCCESS)  \
      ::understudy::cuda::throw_cublas_error(status_, #call, __FILE__, __LINE__); \
  } while (false)

template <class T, cublasStatus_t (*destroy)(T)>
class CublasOwned {
 public:
  CublasOwned() = default;
  explicit CublasOwned(T object) : object_(object) {}
  CublasOwned(CublasOwned&& other) noexcept : object_(std::exchange(other.object_, T{})) {}
  CublasOwned& operator=(CublasOwned&& other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~CublasOwned() {
    if (object_ != T{}) static_cast<void>(destroy(object_));
  }
  T get() const { return object_; }

 private:
  T object_{};
};
using CublasHandle = CublasOwned<cublasLtHandle_t, cublasLtDestroy>;
using MatrixLayout = CublasOwned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using MatmulDesc = CublasOwned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using MatmulPreference = CublasOwned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

inline CublasHandle make_cublas_handle() {
  cublasLtHandle_t handle = nullptr;
  UNDERSTUDY_CUBLAS(cublasLtCreate(&handle));
  return CublasHandle(handle);
}
// Columns one after the other, each `rows` elements, `ld` from one to the next.
inline MatrixLayout make_layout(cudaDataType_t type, std::int64_t rows, std::int64_t columns,
                                std::int64_t ld) {
  cublasLtMatrixLayout_t layout = nullptr;
  UNDERSTUDY_CUBLAS(cublasLtMatrixLayoutCreate(&layout, type, static_cast<std::uint64_t>(rows),
                                               static_cast<std::uint64_t>(columns), ld));
  return MatrixLayout(layout);
}
inline MatmulDesc make_matmul_desc(cublasComputeType_t compute, cudaDataType_t scale) {
  cublasLtMatmulDesc_t desc = nullptr;
  UNDERSTUDY_CUBLAS(cublasLtMatmulDescCreate(&desc, compute, scale));
  return MatmulDesc(desc);
}
inline MatmulPreference make_preference() {
  cublasLtMatmulPreference_t preference = nullptr;
  UNDERSTUDY_CUBLAS(cublasLtMatmulPreferenceCreate(&preference));
  return MatmulPreference(preference);
}
template <class T>
void set(const MatmulDesc& desc, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  UNDERSTUDY_CUBLAS(cublasLtMatmulDescSetAttribute(desc.get(), attribute, &value, sizeof value));
}
template <class T>
void set(const MatmulPreference& preference, cublasLtMatmulPreferenceAttributes_t attribute,
         const T& value) {
  UNDERSTUDY_CUBLAS(
      cublasLtMatmulPreferenceSetAttribute(preference.get(), attribute, &value, sizeof value));
}

}  // namespace understudy::cuda
