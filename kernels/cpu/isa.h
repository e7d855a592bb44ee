// The instruction sets that the CPU loops are compiled for, and the choice among them at run time.
#pragma once

#include <string_view>

namespace understudy::cpu {

enum class InstructionSet : unsigned char { baseline, avx2, avx512 };

const char* to_string(InstructionSet isa);

// True when this build has loops for it and this machine can run them. baseline always is.
bool is_available(InstructionSet isa);

// The one in use: the best available, or what the environment variable UNDERSTUDY_ISA names
// (baseline, avx2, avx512). UsageError when that is unknown or not available here.
InstructionSet instruction_set();

// Changes the one in use, for tests and benchmarks; not while kernels run. UsageError when it is
// not available here.
void set_instruction_set(InstructionSet isa);

}  // namespace understudy::cpu
