// One formula over arrays of one shape, each with strides of its own: out = F::apply(constant, in ...).
// A device header: for .cu files.
//
// Bound by memory, so what counts is that each access moves 16 bytes and that index arithmetic stays
// below some 30 instructions for each of them. Rows along which all arrays are dense and aligned go by
// quads; an input that repeats along rows is one load. Everything else goes by elements.
#pragma once

#include <utility>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/places.h"

namespace understudy::cuda {

template <class T>
__device__ inline Quad<T> load_quad(const T* data, std::int64_t inner_stride) {
  if (inner_stride == 0) {
    const T same = *data;
    return {{same, same, same, same}};
  }
  return *reinterpret_cast<const Quad<T>*>(data);
}

template <class F, class Constant, class Out, class... In>
__device__ inline void map_quad(Constant constant, Out* out, const Quad<In>&... in) {
  Quad<Out> result;
#pragma unroll
  for (int i = 0; i < quad_size; ++i) result.v[i] = F::apply(constant, in.v[i]...);
  *reinterpret_cast<Quad<Out>*>(out) = result;
}

template <class F, bool quads, class Constant, class Out, class... In, std::size_t... I>
__device__ inline void map_step(std::index_sequence<I...>, std::uint32_t step,
                                const Places<1 + sizeof...(In)>& places, Constant constant,
                                Out* out, const In*... in) {
  std::int64_t at[1 + sizeof...(In)] = {};
  const std::uint32_t n = places.find(step, at);
  if constexpr (quads) {
    const int last = places.rank - 1;
    if (n == quad_size) {
      map_quad<F>(constant, out + at[0], load_quad(in + at[1 + I], places.strides[1 + I][last])...);
    } else {
      for (std::uint32_t j = 0; j < n; ++j)
        out[at[0] + j] = F::apply(constant, in[at[1 + I] + j * places.strides[1 + I][last]]...);
    }
  } else {
    out[at[0]] = F::apply(constant, in[at[1 + I]]...);
  }
}

template <class F, bool quads, class Constant, class Out, class... In>
__global__ void map_kernel(Places<1 + sizeof...(In)> places, Constant constant, Out* out,
                           const In*... in) {
  for_each_step(places.steps, [&](std::int64_t step) {
    map_step<F, quads>(std::index_sequence_for<In...>{}, static_cast<std::uint32_t>(step), places,
                       constant, out, in...);
  });
}

// The two kernels of a formula, of one type for all formulas of these arguments, so that they stand
// in tables.
template <class Constant, class Out, class... In>
struct MapKernels {
  using Kernel = void (*)(Places<1 + sizeof...(In)>, Constant, Out*, const In*...);
  Kernel by_element, by_quads;
};
template <class F, class Constant, class Out, class... In>
inline constexpr MapKernels<Constant, Out, In...> map_kernels = {
    map_kernel<F, false, Constant, Out, In...>, map_kernel<F, true, Constant, Out, In...>};

// Elements of a launch: fewer than 2^31, a multiple of 4.
inline constexpr std::int64_t most_mapped = std::int64_t{1} << 30;

// The walk's array 0 is `out`, the others are the inputs in their order.
template <class Constant, class Out, class... In>
void map(const Stream& stream, const MapKernels<Constant, Out, In...>& kernels,
         const Walk<1 + sizeof...(In)>& whole, Constant constant, Out* out, const In*... in) {
  constexpr int arrays = 1 + sizeof...(In);
  for_pieces(whole, most_mapped, [&](const Walk<arrays>& walk, const std::int64_t(&start)[arrays]) {
    const auto run = [&]<std::size_t... I>(std::index_sequence<I...>) {
      const bool quads = moves_by_quads(walk, 0, out + start[0]) &&
                         (moves_by_quads(walk, 1 + I, in + start[1 + I]) && ...);
      const auto places = make_places(walk, quads ? quad_size : 1);
      launch(stream, grid_for(places.steps), quads ? kernels.by_quads : kernels.by_element, places,
             constant, out + start[0], in + start[1 + I]...);
    };
    run(std::index_sequence_for<In...>{});
  });
}

}  // namespace understudy::cuda
