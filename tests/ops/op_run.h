// Running a case of the op list: its inputs as tensors in several layouts, its gradients, and the
// settings of the CPU that must not change a result.
#pragma once

#include <string>
#include <vector>

#include "engine/tensor.h"
#include "kernels/cpu/isa.h"
#include "tests/ops/op_case.h"

namespace understudy::testing {

// How an input lies in memory. What a strided one skips over is NaN, or an impossible index.
enum class Layout { dense, transposed, stepped };
inline constexpr Layout all_layouts[] = {Layout::dense, Layout::transposed, Layout::stepped};
const char* to_string(Layout layout);

struct Setting {
  DType dtype = DType::f64;
  Layout layout = Layout::dense;
  Device device = {};
};
std::string to_string(const Setting& setting);

// `array` as a leaf with that layout.
Tensor make_tensor(const Array& array, DType dtype, Layout layout, Device device);
std::vector<Tensor> make_inputs(const OpCase& op, const Setting& setting);

struct Gradient {
  Tensor value;
  std::vector<Tensor> inputs;  // undefined for those that the op promises none to
};
// Runs the case and sends a fixed random gradient back. The settings that differ only in layout,
// type and device send the same one.
Gradient run_backward(const OpCase& op, const Setting& setting);
// That gradient, for a result of `shape`; exact in float.
Array seed_of(const Shape& shape);

// Of one operation in this type, relative to 1 + |expected|.
double unit_error(DType dtype);
// The largest |actual - expected| / (1 + |expected|); NaN where one is; infinity for other shapes.
double worst_error(const Tensor& actual, const Array& expected);
double worst_error(const Tensor& actual, const Tensor& expected);

// Every instruction set of this machine with one and two threads.
struct CpuMode {
  cpu::InstructionSet isa;
  int threads;
};
std::vector<CpuMode> cpu_modes();
std::string to_string(const CpuMode& mode);

// Uses a mode in a scope.
class CpuModeScope {
 public:
  explicit CpuModeScope(const CpuMode& mode);
  ~CpuModeScope();
  CpuModeScope(const CpuModeScope&) = delete;
  CpuModeScope& operator=(const CpuModeScope&) = delete;

 private:
  CpuMode before_;
};

// The devices beside the CPU that this build and machine have; `why_none` says why there is none.
std::vector<Device> other_devices(std::string& why_none);

}  // namespace understudy::testing
