// Four neighbouring elements, which are loaded and stored at once where they are aligned: 16 bytes of
// float32, 32 of float64 (two accesses), 8 of bfloat16.
#pragma once

#include <cstdint>

namespace understudy::cuda {

inline constexpr std::int64_t quad_size = 4;

template <class T>
struct alignas(sizeof(T) >= 4 ? 16 : 4 * sizeof(T)) Quad {
  T v[quad_size];
};

// Whether a Quad<T> can be read at `data` and at every multiple of `step` elements from there.
template <class T>
bool takes_quads(const T* data, std::int64_t step) {
  return reinterpret_cast<std::uintptr_t>(data) % alignof(Quad<T>) == 0 && step % quad_size == 0;
}

}  // namespace understudy::cuda
