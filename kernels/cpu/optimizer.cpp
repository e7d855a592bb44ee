#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/loops/loops.h"
#include "kernels/dispatch.h"
#include "kernels/parallel.h"

namespace understudy::cpu {
namespace {

constexpr std::int64_t grain = 16384;

// All slots laid end to end are one loop; update(slot, begin, end) gets each part of a slot.
template <class Slot, class Update>
void for_slots(std::span<const Slot> slots, Update&& update) {
  std::int64_t total = 0;
  for (const Slot& slot : slots) total += slot.count;
  parallel_for(total, grain, [&](std::int64_t begin, std::int64_t end) {
    std::int64_t start = 0;
    for (const Slot& slot : slots) {
      const std::int64_t from = begin > start ? begin - start : 0;
      const std::int64_t to = end - start < slot.count ? end - start : slot.count;
      if (from < to) update(slot, from, to);
      start += slot.count;
      if (start >= end) return;
    }
  });
}

}  // namespace

void CpuBackend::sgd(DType dtype, std::span<const SgdSlot> slots, const SgdStep* step) {
  with_float(dtype, [&]<class T>(Type<T>) {
    const auto k = sgd_constants<T>(*step);
    for_slots(slots, [&](const SgdSlot& slot, std::int64_t begin, std::int64_t end) {
      T* const momentum = static_cast<T*>(slot.momentum);
      loops<T>().optimizer->sgd(end - begin, static_cast<T*>(slot.parameter) + begin,
                                static_cast<const T*>(slot.gradient) + begin,
                                momentum == nullptr ? nullptr : momentum + begin, k);
    });
  });
}

void CpuBackend::adam(DType dtype, std::span<const AdamSlot> slots, const AdamStep* step) {
  with_float(dtype, [&]<class T>(Type<T>) {
    const auto k = adam_constants<T>(*step);
    for_slots(slots, [&](const AdamSlot& slot, std::int64_t begin, std::int64_t end) {
      loops<T>().optimizer->adam(end - begin, static_cast<T*>(slot.parameter) + begin,
                                 static_cast<const T*>(slot.gradient) + begin,
                                 static_cast<T*>(slot.mean) + begin,
                                 static_cast<T*>(slot.variance) + begin, k);
    });
  });
}

}  // namespace understudy::cpu
