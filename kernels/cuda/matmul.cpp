#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/products.h"

namespace understudy::cuda {

void CudaBackend::matmul(const View& out, const ConstView& a, const ConstView& b,
                         const Epilogue& epilogue) {
  products_->matmul(out, a, b, epilogue, numerics_.precision, workspace_);
}

}  // namespace understudy::cuda
