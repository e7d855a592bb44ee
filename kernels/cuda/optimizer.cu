// The fused optimisers: one launch for up to 64 parameters, whose addresses are its arguments. Bound
// by memory: SGD with momentum moves 20 bytes for each float32 parameter, Adam 28.
#include <algorithm>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/quad.h"
#include "kernels/dispatch.h"

namespace understudy::cuda {
namespace {

constexpr int most_slots = 64;
// Elements that a block updates: four quads of each array for each thread, loaded ahead of each other.
constexpr int chunk_quads = 4;
constexpr std::int64_t chunk = chunk_quads * block_threads * quad_size;

// A kernel's arguments, below 4 KB.
template <class Slot>
struct Slots {
  Slot slot[most_slots];
  std::uint32_t end[most_slots];  // blocks up to the end of each slot
  int count;
};

// The slot of this block, and its first element there.
template <class Slot>
__device__ inline int find_slot(const Slots<Slot>& slots, std::int64_t& begin) {
  int low = 0, high = slots.count - 1;
  while (low < high) {
    const int middle = (low + high) / 2;
    if (blockIdx.x < slots.end[middle])
      high = middle;
    else
      low = middle + 1;
  }
  begin = (blockIdx.x - (low == 0 ? 0 : slots.end[low - 1])) * chunk;
  return low;
}

// What an optimiser keeps of a slot, as arrays of T: the parameter, then its buffers.
template <class T>
struct Sgd {
  using Slot = SgdSlot;
  using Step = SgdStep;
  using Constants = SgdConstants<T>;
  static constexpr int arrays = 2;
  UNDERSTUDY_HD static Constants constants(const Step& step) { return sgd_constants<T>(step); }
  UNDERSTUDY_HD static void find(const Slot& slot, T* (&array)[arrays]) {
    array[0] = static_cast<T*>(slot.parameter);
    array[1] = static_cast<T*>(slot.momentum);
  }
  UNDERSTUDY_HD static void update(T (&at)[arrays], T gradient, const Constants& k) {
    sgd_update(at[0], gradient, at[1], k);
  }
};
template <class T>
struct PlainSgd {
  using Slot = SgdSlot;
  using Step = SgdStep;
  using Constants = SgdConstants<T>;
  static constexpr int arrays = 1;
  UNDERSTUDY_HD static Constants constants(const Step& step) { return sgd_constants<T>(step); }
  UNDERSTUDY_HD static void find(const Slot& slot, T* (&array)[arrays]) {
    array[0] = static_cast<T*>(slot.parameter);
  }
  UNDERSTUDY_HD static void update(T (&at)[arrays], T gradient, const Constants& k) {
    sgd_update(at[0], gradient, k);
  }
};
template <class T>
struct Adam {
  using Slot = AdamSlot;
  using Step = AdamStep;
  using Constants = AdamConstants<T>;
  static constexpr int arrays = 3;
  UNDERSTUDY_HD static Constants constants(const Step& step) { return adam_constants<T>(step); }
  UNDERSTUDY_HD static void find(const Slot& slot, T* (&array)[arrays]) {
    array[0] = static_cast<T*>(slot.parameter);
    array[1] = static_cast<T*>(slot.mean);
    array[2] = static_cast<T*>(slot.variance);
  }
  UNDERSTUDY_HD static void update(T (&at)[arrays], T gradient, const Constants& k) {
    adam_update(at[0], gradient, at[1], at[2], k);
  }
};

UNDERSTUDY_HD bool is_aligned(const void* data) {
  return reinterpret_cast<std::uintptr_t>(data) % 16 == 0;
}

template <class T, class Rule>
__global__ void __launch_bounds__(block_threads)
    update_kernel(Slots<typename Rule::Slot> slots, const typename Rule::Step* step) {
  constexpr int arrays = Rule::arrays;
  __shared__ typename Rule::Constants shared;
  if (threadIdx.x == 0) shared = Rule::constants(*step);
  std::int64_t begin;
  const int found = find_slot(slots, begin);
  const auto& slot = slots.slot[found];
  const std::int64_t count = slot.count;
  const T* const gradient = static_cast<const T*>(slot.gradient);
  T* array[arrays];
  Rule::find(slot, array);
  bool aligned = is_aligned(gradient);
  for (int a = 0; a < arrays; ++a) aligned = aligned && is_aligned(array[a]);
  __syncthreads();
  const typename Rule::Constants k = shared;
  if (aligned && begin + chunk <= count) {
    Quad<T> g[chunk_quads], at[chunk_quads][arrays];
#pragma unroll
    for (int q = 0; q < chunk_quads; ++q) {
      const std::int64_t i = begin + (q * block_threads + threadIdx.x) * quad_size;
      g[q] = *reinterpret_cast<const Quad<T>*>(gradient + i);
      for (int a = 0; a < arrays; ++a) at[q][a] = *reinterpret_cast<const Quad<T>*>(array[a] + i);
    }
#pragma unroll
    for (int q = 0; q < chunk_quads; ++q) {
      const std::int64_t i = begin + (q * block_threads + threadIdx.x) * quad_size;
      for (int j = 0; j < quad_size; ++j) {
        T element[arrays];
        for (int a = 0; a < arrays; ++a) element[a] = at[q][a].v[j];
        Rule::update(element, g[q].v[j], k);
        for (int a = 0; a < arrays; ++a) at[q][a].v[j] = element[a];
      }
      for (int a = 0; a < arrays; ++a) *reinterpret_cast<Quad<T>*>(array[a] + i) = at[q][a];
    }
    return;
  }
  const std::int64_t end = begin + chunk < count ? begin + chunk : count;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += block_threads) {
    T element[arrays];
    for (int a = 0; a < arrays; ++a) element[a] = array[a][i];
    Rule::update(element, gradient[i], k);
    for (int a = 0; a < arrays; ++a) array[a][i] = element[a];
  }
}

template <class T, class Rule, class Slot, class Step>
void update(const Stream& stream, std::span<const Slot> slots, const Step* step) {
  Slots<Slot> some = {};
  std::int64_t blocks = 0;
  const auto run = [&] {
    if (some.count == 0) return;
    launch(stream, Grid{dim3(static_cast<unsigned>(blocks)), dim3(block_threads)},
           update_kernel<T, Rule>, some, step);
    some.count = 0;
    blocks = 0;
  };
  for (const Slot& slot : slots) {
    if (slot.count == 0) continue;
    blocks += (slot.count + chunk - 1) / chunk;
    some.slot[some.count] = slot;
    some.end[some.count] = static_cast<std::uint32_t>(blocks);
    if (++some.count == most_slots) run();
  }
  run();
}

}  // namespace

void CudaBackend::sgd(DType dtype, std::span<const SgdSlot> slots, const SgdStep* step) {
  // All slots of an optimiser have a momentum, or none has; an empty one needs no memory for it.
  const bool momentum = std::any_of(slots.begin(), slots.end(),
                                    [](const SgdSlot& slot) { return slot.momentum != nullptr; });
  with_float(dtype, [&]<class T>(Type<T>) {
    if (momentum)
      update<T, Sgd<T>>(stream_, slots, step);
    else
      update<T, PlainSgd<T>>(stream_, slots, step);
  });
}

void CudaBackend::adam(DType dtype, std::span<const AdamSlot> slots, const AdamStep* step) {
  with_float(dtype, [&]<class T>(Type<T>) { update<T, Adam<T>>(stream_, slots, step); });
}

}  // namespace understudy::cuda
