#include "kernels/check.h"
#include "kernels/cuda/conv_implicit.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/dispatch.h"

namespace understudy::cuda {

// Always by our own kernels, in the type of the arguments: no library adds up squares, and Fisher
// information is worth float32.
void CudaBackend::conv2d_squared_weight_gradients(const View& sums, std::span<const ConstView> dy,
                                                  const ConstView& x, const Conv2d& conv) {
  check(conv.algorithm == ConvAlgorithm::automatic || conv.algorithm == ConvAlgorithm::implicit,
        "[conv2d_squared_weight_gradients] the algorithm '{}' is the CPU's alone; a GPU has "
        "'automatic' and 'implicit'",
        understudy::to_string(conv.algorithm));
  const ConvShape s = conv_shape(x.shape, sums.shape, dy[0].shape, conv);
  check_implicit(s);
  with_float(sums.dtype, [&]<class T>(Type<T>) {
    const std::size_t bytes = squared_gradients_bytes(s, dtype_of<T>);
    implicit_squared_gradients(stream_, s, sums.as<T>(), dy, x.as<T>(),
                               bytes == 0 ? nullptr : workspace_.get(bytes));
  });
}

}  // namespace understudy::cuda
