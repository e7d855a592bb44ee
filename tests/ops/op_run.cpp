#include "tests/ops/op_run.h"

#include <cmath>
#include <limits>

#include "engine/autograd.h"
#include "engine/ops.h"
#include "kernels/backend.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "kernels/parallel.h"

namespace understudy::testing {

const char* to_string(Layout layout) {
  switch (layout) {
    case Layout::dense:
      return "dense";
    case Layout::transposed:
      return "transposed";
    case Layout::stepped:
      return "stepped";
  }
  return "unknown";
}

std::string to_string(const Setting& s) {
  return fmt::format("{} {} on {}", s.dtype, to_string(s.layout), s.device);
}

Tensor make_tensor(const Array& array, DType dtype, Layout layout, Device device) {
  NoGradGuard no_grad;
  const int rank = array.shape.rank();
  const Tensor dense = to(cast(Tensor::from(array.values, array.shape), dtype), device);
  if (layout == Layout::dense) return dense.detach();
  if (layout == Layout::transposed) {
    std::vector<int> reversed;
    for (int i = rank - 1; i >= 0; --i) reversed.push_back(i);
    return permute(clone(permute(dense, reversed)), reversed);
  }
  // Every second element along the last axis, of rows that begin in the middle of others.
  Shape wide = array.shape;
  if (rank == 0)
    wide.push_back(3);
  else
    wide[rank - 1] = 2 * wide[rank - 1] + 1;
  const bool floating = dtype == DType::f32 || dtype == DType::f64;
  const double gap =
      floating ? std::numeric_limits<double>::quiet_NaN() : (dtype == DType::u8 ? 255 : 1 << 30);
  Tensor base = Tensor::full(wide, gap, dtype, device);
  Tensor out =
      rank == 0 ? select(base, 0, 1) : slice(base, rank - 1, 1, 2 * array.shape[rank - 1] + 1, 2);
  out.copy_(dense);
  return out;
}

std::vector<Tensor> make_inputs(const OpCase& op, const Setting& setting) {
  std::vector<Tensor> inputs;
  for (const Operand& input : op.inputs)
    inputs.push_back(make_tensor(input.array, input.dtype.value_or(setting.dtype), setting.layout,
                                 setting.device));
  return inputs;
}

Array seed_of(const Shape& shape) {
  Random random(97);
  return random_operand(random, shape, -1, 1).array;
}

Gradient run_backward(const OpCase& op, const Setting& setting) {
  std::vector<Tensor> inputs = make_inputs(op, setting);
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (op.inputs[i].differentiable) inputs[i].set_requires_grad(true);
  Gradient out{op.apply(inputs), {}};
  out.value.backward(
      make_tensor(seed_of(out.value.shape()), out.value.dtype(), setting.layout, setting.device));
  for (const Tensor& input : inputs) out.inputs.push_back(input.grad());
  return out;
}

double unit_error(DType dtype) {
  return 4 * (dtype == DType::f32 ? double{std::numeric_limits<float>::epsilon()}
                                  : std::numeric_limits<double>::epsilon());
}

double worst_error(const Tensor& actual, const Array& expected) {
  if (actual.shape() != expected.shape) return std::numeric_limits<double>::infinity();
  const std::vector<double> values = actual.to_vector<double>();
  double worst = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double error =
        std::fabs(values[i] - expected.values[i]) / (1 + std::fabs(expected.values[i]));
    if (!(error <= worst)) worst = error;
    if (std::isnan(worst)) return worst;
  }
  return worst;
}

double worst_error(const Tensor& actual, const Tensor& expected) {
  return worst_error(actual, Array{expected.shape(), expected.to_vector<double>()});
}

std::vector<CpuMode> cpu_modes() {
  using cpu::InstructionSet;
  std::vector<CpuMode> modes;
  for (const auto isa : {InstructionSet::baseline, InstructionSet::avx2, InstructionSet::avx512})
    if (cpu::is_available(isa))
      for (const int threads : {1, 2}) modes.push_back({isa, threads});
  return modes;
}

std::string to_string(const CpuMode& mode) {
  return fmt::format("{} with {} thread{}", cpu::to_string(mode.isa), mode.threads,
                     mode.threads == 1 ? "" : "s");
}

CpuModeScope::CpuModeScope(const CpuMode& mode) : before_{cpu::instruction_set(), num_threads()} {
  cpu::set_instruction_set(mode.isa);
  set_num_threads(mode.threads);
}
CpuModeScope::~CpuModeScope() {
  cpu::set_instruction_set(before_.isa);
  set_num_threads(before_.threads);
}

std::vector<Device> other_devices(std::string& why_none) {
  const Device cuda{DeviceKind::cuda, 0};
  try {
    backend(cuda);
    return {cuda};
  } catch (const Error& e) {
    why_none = e.what();
    return {};
  }
}

}  // namespace understudy::testing
