#include "kernels/cuda/convolution.h"
#include "kernels/cuda/cuda_backend.h"

namespace understudy::cuda {

void CudaBackend::conv2d(const View& y, const ConstView& x, const ConstView& w, const Conv2d& conv,
                         const ConvEpilogue& epilogue) {
  convolutions_->forward(y, x, w, conv, epilogue, {workspace_, *products_, numerics_});
}

void CudaBackend::conv2d_input_gradient(const View& dx, const ConstView& dy, const ConstView& w,
                                        const Conv2d& conv) {
  convolutions_->input_gradient(dx, dy, w, conv, {workspace_, *products_, numerics_});
}

void CudaBackend::conv2d_weight_gradient(const View& dw, const ConstView& dy, const ConstView& x,
                                         const Conv2d& conv) {
  convolutions_->weight_gradient(dw, dy, x, conv, {workspace_, *products_, numerics_});
}

}  // namespace understudy::cuda
