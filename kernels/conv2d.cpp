#include "kernels/conv2d.h"

namespace understudy {

const char* to_string(ConvAlgorithm algorithm) {
  switch (algorithm) {
    case ConvAlgorithm::automatic:
      return "automatic";
    case ConvAlgorithm::implicit:
      return "implicit";
    case ConvAlgorithm::winograd:
      return "winograd";
    case ConvAlgorithm::few_pixels:
      return "few_pixels";
    case ConvAlgorithm::product:
      return "product";
  }
  return "?";
}

}  // namespace understudy
