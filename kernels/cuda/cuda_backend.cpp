#include "kernels/cuda/cuda_backend.h"

#include <fmt/format.h>

#include "kernels/check.h"
#include "kernels/cuda/convolution.h"
#include "kernels/cuda/products.h"

namespace understudy::cuda {
namespace {

int attribute(cudaDeviceAttr which, int device) {
  int value = 0;
  UNDERSTUDY_CUDA(cudaDeviceGetAttribute(&value, which, device));
  return value;
}

// The oldest GPUs that the kernels are compiled for: Ampere.
constexpr int oldest_major = 8;

int checked_device(int device) {
  std::string why_none;
  const int count = device_count(&why_none);
  if (count == 0)
    throw UsageError(
        fmt::format("device 'cuda:{}' was asked for, but there is none: {}; use --device cpu",
                    device, why_none));
  if (device >= count)
    throw UsageError(fmt::format("device 'cuda:{}' was asked for, but there {}: expected cuda:0{}",
                                 device, count == 1 ? "is one" : fmt::format("are {}", count),
                                 count == 1 ? "" : fmt::format(" to cuda:{}", count - 1)));
  const int major = attribute(cudaDevAttrComputeCapabilityMajor, device);
  const int minor = attribute(cudaDevAttrComputeCapabilityMinor, device);
  if (major < oldest_major)
    throw UsageError(fmt::format(
        "device 'cuda:{}' has compute capability {}.{}: expected {}.0 (Ampere) or later", device,
        major, minor, oldest_major));
  return device;
}

std::string version(int number) { return fmt::format("{}.{}", number / 1000, number % 1000 / 10); }

}  // namespace

int device_count(std::string* why_none) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess && count > 0) return count;
  static_cast<void>(cudaGetLastError());
  if (why_none != nullptr)
    *why_none = error == cudaSuccess ? "no GPU is visible" : cudaGetErrorString(error);
  return 0;
}

CudaBackend::CudaBackend(int device)
    : stream_(checked_device(device)),
      memory_stream_(device),
      memory_pools_(attribute(cudaDevAttrMemoryPoolsSupported, device) != 0),
      staging_(stream_),
      products_(std::make_unique<Products>(stream_)),
      convolutions_(std::make_unique<Convolutions>(stream_)) {}

CudaBackend::~CudaBackend() = default;

std::string CudaBackend::describe() {
  cudaDeviceProp properties;
  UNDERSTUDY_CUDA(cudaGetDeviceProperties(&properties, stream_.device()));
  int driver = 0, runtime = 0;
  UNDERSTUDY_CUDA(cudaDriverGetVersion(&driver));
  UNDERSTUDY_CUDA(cudaRuntimeGetVersion(&runtime));
  return fmt::format("{}, compute capability {}.{}, CUDA {} (driver for {}), {}", properties.name,
                     properties.major, properties.minor, version(runtime), version(driver),
                     convolutions_->describe());
}

void CudaBackend::set_numerics(const Numerics& numerics) {
  synchronize();
  numerics_ = numerics;
}

}  // namespace understudy::cuda
