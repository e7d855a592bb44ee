#include <cmath>

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

void CpuBackend::sgd(DType dtype, std::span<const SgdSlot> slots, const SgdStep* at) {
  const SgdStep& step = *at;
  with_float(dtype, [&]<class T>(Type<T>) {
    const SgdConstants<T> k{.lr = static_cast<T>(step.lr),
                            .momentum = static_cast<T>(step.momentum),
                            .fresh = static_cast<T>(1 - step.dampening),
                            .weight_decay = static_cast<T>(step.weight_decay),
                            .nesterov = step.nesterov,
                            .first = step.first};
    for_slots(slots, [&](const SgdSlot& slot, std::int64_t begin, std::int64_t end) {
      T* const momentum = static_cast<T*>(slot.momentum);
      loops<T>().optimizer->sgd(end - begin, static_cast<T*>(slot.parameter) + begin,
                                static_cast<const T*>(slot.gradient) + begin,
                                momentum == nullptr ? nullptr : momentum + begin, k);
    });
  });
}

void CpuBackend::adam(DType dtype, std::span<const AdamSlot> slots, const AdamStep* at) {
  const AdamStep& step = *at;
  with_float(dtype, [&]<class T>(Type<T>) {
    const AdamConstants<T> k{
        .keep = static_cast<T>(step.decoupled ? 1 - step.lr * step.weight_decay : 1),
        .beta1 = static_cast<T>(step.beta1),
        .fresh1 = static_cast<T>(1 - step.beta1),
        .beta2 = static_cast<T>(step.beta2),
        .fresh2 = static_cast<T>(1 - step.beta2),
        .eps = static_cast<T>(step.eps),
        .weight_decay = static_cast<T>(step.decoupled ? 0 : step.weight_decay),
        .step_size = static_cast<T>(step.lr / step.correction1),
        .root_scale = static_cast<T>(1 / std::sqrt(step.correction2))};
    for_slots(slots, [&](const AdamSlot& slot, std::int64_t begin, std::int64_t end) {
      loops<T>().optimizer->adam(end - begin, static_cast<T*>(slot.parameter) + begin,
                                 static_cast<const T*>(slot.gradient) + begin,
                                 static_cast<T*>(slot.mean) + begin,
                                 static_cast<T*>(slot.variance) + begin, k);
    });
  });
}

}  // namespace understudy::cpu
