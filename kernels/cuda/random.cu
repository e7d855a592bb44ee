// Random numbers: one thread for a Philox block. Uniform draws are bound by memory; normal ones by the
// logarithm, sine and cosine in double.
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/quad.h"
#include "kernels/dispatch.h"
#include "kernels/draws.h"

namespace understudy::cuda {
namespace {

// The draws of a block, as one store where `out` is aligned for it.
template <class T>
struct alignas(16) Drawn {
  T v[draws_of_block<T>];
};

struct Uniform {
  double low, span;
  template <class T>
  UNDERSTUDY_HD void draw(const PhiloxBlock& block, T (&v)[draws_of_block<T>]) const {
    for (int i = 0; i < draws_of_block<T>; ++i) v[i] = uniform_draw<T>(block, i, low, span);
  }
};
struct Normal {
  double mean, std;
  template <class T>
  UNDERSTUDY_HD void draw(const PhiloxBlock& block, T (&v)[draws_of_block<T>]) const {
    for (int i = 0; i < draws_of_block<T>; i += 2) {
      const NormalPair pair = normal_draw<T>(block, i / 2);
      v[i] = static_cast<T>(mean + std * pair.first);
      v[i + 1] = static_cast<T>(mean + std * pair.second);
    }
  }
};

template <class T, class Law>
__global__ void draw_kernel(Law law, std::int64_t count, T* out, bool aligned, PhiloxKey key,
                            std::uint64_t first) {
  constexpr std::int64_t each = draws_of_block<T>;
  for_each_step((count + each - 1) / each, [&](std::int64_t b) {
    Drawn<T> drawn;
    law.draw(philox(key, first + static_cast<std::uint64_t>(b)), drawn.v);
    if (aligned && (b + 1) * each <= count) {
      *reinterpret_cast<Drawn<T>*>(out + b * each) = drawn;
    } else {
      for (std::int64_t i = 0; i < each && b * each + i < count; ++i)
        out[b * each + i] = drawn.v[i];
    }
  });
}

template <class T, class Law>
void draw(const Stream& stream, const Law& law, const View& out, PhiloxKey key,
          std::uint64_t first) {
  const std::int64_t count = out.shape.count();
  if (count == 0) return;
  const bool aligned = reinterpret_cast<std::uintptr_t>(out.data) % alignof(Drawn<T>) == 0;
  const std::int64_t blocks = (count + draws_of_block<T> - 1) / draws_of_block<T>;
  launch(stream, grid_for(blocks), draw_kernel<T, Law>, law, count, out.as<T>(), aligned, key,
         first);
}

}  // namespace

void CudaBackend::uniform(const View& out, PhiloxKey key, std::uint64_t first, double low,
                          double high) {
  with_float(out.dtype, [&]<class T>(Type<T>) {
    draw<T>(stream_, Uniform{low, high - low}, out, key, first);
  });
}

void CudaBackend::normal(const View& out, PhiloxKey key, std::uint64_t first, double mean,
                         double std) {
  with_float(out.dtype, [&]<class T>(Type<T>) {
    draw<T>(stream_, Normal{mean, std}, out, key, first);
  });
}

}  // namespace understudy::cuda
