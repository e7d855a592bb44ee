#include "kernels/cpu/isa.h"

#include <atomic>
#include <cstdlib>

#include "kernels/check.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/loops/loops.h"

namespace understudy::cpu {
namespace {

// In the order of Loops<T>.
#define UNDERSTUDY_LOOPS(isa, type)                                                         \
  {                                                                                         \
    &isa::pointwise_##type, &isa::rows_##type, &isa::reduce_##type, &isa::optimizer_##type, \
        &isa::move_##type, &isa::random_##type, &isa::conv_##type, &isa::winograd_##type,   \
        &isa::squares_##type, &isa::norm_##type, &isa::pool_##type                          \
  }
#define UNDERSTUDY_TABLES(isa) \
  { UNDERSTUDY_LOOPS(isa, f32), UNDERSTUDY_LOOPS(isa, f64), &isa::convert }

struct Tables {
  Loops<float> f32;
  Loops<double> f64;
  const ConvertLoops* convert;
};
constexpr Tables all_tables[] = {
    UNDERSTUDY_TABLES(baseline),
#ifdef UNDERSTUDY_X86_LOOPS
    UNDERSTUDY_TABLES(avx2),
    UNDERSTUDY_TABLES(avx512),
#endif
};

constexpr InstructionSet all_sets[] = {InstructionSet::baseline, InstructionSet::avx2,
                                       InstructionSet::avx512};

std::atomic<const Tables*> current{nullptr};

InstructionSet chosen_at_start() {
  const char* const wanted = std::getenv("UNDERSTUDY_ISA");
  if (wanted == nullptr || *wanted == '\0') {
    InstructionSet best = InstructionSet::baseline;
    for (const InstructionSet isa : all_sets)
      if (is_available(isa)) best = isa;
    return best;
  }
  for (const InstructionSet isa : all_sets) {
    if (std::string_view(wanted) != to_string(isa)) continue;
    if (is_available(isa)) return isa;
    throw UsageError(
        fmt::format("UNDERSTUDY_ISA={}: this machine or this build cannot run it", wanted));
  }
  throw UsageError(
      fmt::format("UNDERSTUDY_ISA={}: expected 'baseline', 'avx2' or 'avx512'", wanted));
}

const Tables& tables() {
  const Tables* in_use = current.load(std::memory_order_acquire);
  if (in_use == nullptr) [[unlikely]] {
    in_use = &all_tables[static_cast<int>(chosen_at_start())];
    current.store(in_use, std::memory_order_release);
  }
  return *in_use;
}

}  // namespace

const char* to_string(InstructionSet isa) {
  switch (isa) {
    case InstructionSet::baseline:
      return "baseline";
    case InstructionSet::avx2:
      return "avx2";
    case InstructionSet::avx512:
      return "avx512";
  }
  return "unknown";
}

bool is_available(InstructionSet isa) {
  if (isa == InstructionSet::baseline) return true;
#ifdef UNDERSTUDY_X86_LOOPS
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (isa == InstructionSet::avx2) return avx2;
  return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#else
  return false;
#endif
}

InstructionSet instruction_set() { return all_sets[&tables() - all_tables]; }

void set_instruction_set(InstructionSet isa) {
  if (!is_available(isa))
    throw UsageError(fmt::format("instruction set '{}': this machine or this build cannot run it",
                                 to_string(isa)));
  current.store(&all_tables[static_cast<int>(isa)], std::memory_order_release);
}

template <>
const Loops<float>& loops<float>() {
  return tables().f32;
}
template <>
const Loops<double>& loops<double>() {
  return tables().f64;
}
const ConvertLoops& convert_loops() { return *tables().convert; }

std::string CpuBackend::describe() { return to_string(instruction_set()); }

void CpuBackend::set_numerics(const Numerics& numerics) {
  if (numerics.precision != Precision::fp32)
    throw UsageError(fmt::format("precision {}: the CPU computes in fp32 alone",
                                 understudy::to_string(numerics.precision)));
}

void CpuBackend::begin_recording() { fail("the CPU records no work"); }
std::unique_ptr<RecordedWork> CpuBackend::end_recording() { fail("the CPU records no work"); }

}  // namespace understudy::cpu
