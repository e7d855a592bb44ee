// Convolutions by cuDNN 9, through its functions of old (cudnnConvolutionForward and its like).
#pragma once

#include "kernels/cuda/conv_library.h"

namespace understudy::cuda {

std::unique_ptr<ConvLibrary> make_cudnn(const Stream& stream);

}  // namespace understudy::cuda
