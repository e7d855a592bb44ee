// Arrays with guard bands (kernels_arrays.h) that are taken to a GPU and back.
#pragma once

#include <cstring>
#include <utility>
#include <vector>

#include "kernels/backend.h"
#include "tests/cuda_device.h"
#include "tests/kernels_arrays.h"

namespace understudy::testing {

inline Backend& gpu_backend() { return backend(gpu); }

// A copy of an array in the GPU's memory, guard bands and poison included. Converts to its views.
template <class T>
class OnGpu {
 public:
  explicit OnGpu(Array<T> array) : array_(std::move(array)) {
    memory_ = gpu_backend().allocate(bytes());
    gpu_backend().from_host(memory_, array_.block().data(), bytes());
  }
  explicit OnGpu(const Dims& shape, Layout layout = Layout::dense)
      : OnGpu(Array<T>(shape, layout)) {}
  static OnGpu uniform(const Dims& shape, Layout layout, std::uint64_t seed, double low,
                       double high) {
    return OnGpu(Array<T>::uniform(shape, layout, seed, low, high));
  }
  ~OnGpu() {
    if (memory_ != nullptr) gpu_backend().release(memory_, bytes());
  }
  OnGpu(OnGpu&& other) noexcept
      : array_(std::move(other.array_)), memory_(std::exchange(other.memory_, nullptr)) {}
  OnGpu& operator=(OnGpu&&) = delete;

  operator View() {
    View view = array_;
    view.data = static_cast<T*>(memory_) + Array<T>::guard;
    return view;
  }
  operator ConstView() const {
    ConstView view = array_;
    view.data = static_cast<const T*>(memory_) + Array<T>::guard;
    return view;
  }
  // As it was put there.
  const Array<T>& before() const { return array_; }
  // As it is now.
  Array<T> now() const {
    Array<T> array = array_;
    gpu_backend().to_host(array.block().data(), memory_, bytes());
    return array;
  }

 private:
  std::size_t bytes() const { return array_.block().size() * sizeof(T); }

  Array<T> array_;
  void* memory_ = nullptr;
};

// While it lives, the GPU computes like this.
class WithNumerics {
 public:
  explicit WithNumerics(const Numerics& numerics) { gpu_backend().set_numerics(numerics); }
  ~WithNumerics() { gpu_backend().set_numerics({}); }
  WithNumerics(const WithNumerics&) = delete;
  WithNumerics& operator=(const WithNumerics&) = delete;
};

// Whether two arrays have the same bits.
template <class T>
bool same_bits(const Array<T>& a, const Array<T>& b) {
  return a.block().size() == b.block().size() &&
         std::memcmp(a.block().data(), b.block().data(), a.block().size() * sizeof(T)) == 0;
}

}  // namespace understudy::testing
