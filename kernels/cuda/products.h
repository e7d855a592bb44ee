// Products of matrices by cuBLASLt.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "kernels/backend.h"
#include "kernels/cuda/runtime.h"

namespace understudy::cuda {

class Workspace;

// Which algorithm multiplies which shape is the library's guess, asked for once and kept. It depends
// on shapes, strides, alignments and the GPU alone, and so do the bits of a result.
class Products {
 public:
  explicit Products(const Stream& stream);
  ~Products();
  Products(const Products&) = delete;
  Products& operator=(const Products&) = delete;

  // Backend::matmul. What cuBLASLt cannot read where it lies is copied to `scratch` first, and with
  // Precision::bf16 all float32 factors are. float64 is float64 whatever `precision` says.
  void matmul(const View& out, const ConstView& a, const ConstView& b, const Epilogue& epilogue,
              Precision precision, Workspace& scratch);

  std::string describe() const;  // "cuBLASLt 13.1.0"

 private:
  struct Problem;
  struct Plan;
  struct Plans;

  template <class T>
  void multiply(const View& out, const ConstView& a, const ConstView& b, const Epilogue& epilogue,
                Precision precision, Workspace& scratch);
  // `spare` is memory like the result, null while work is recorded.
  std::unique_ptr<Plan> make_plan(const Problem& problem, const void* left, const void* right,
                                  const void* bias, void* spare);
  bool keeps_nan(const Problem& problem, const Plan& plan, const void* left, const void* right,
                 void* spare);
  void run(const Problem& problem, const Plan& plan, double alpha, const void* left,
           const void* right, double beta, void* out);

  const Stream& stream_;
  std::mutex mutex_;
  std::unique_ptr<Plans> plans_;
};

}  // namespace understudy::cuda
