// The ceilings that measurements are compared with.
#pragma once

#include "kernels/device.h"

namespace understudy::bench {

struct Peak {
  // A second. On the CPU: float multiply-adds that stay in registers, two each. On a GPU: those of
  // an 8192³ product by the library, in the precision that is set.
  double flops = 0;
  // A second, over arrays much larger than caches. On the CPU of a[i] = b[i] + s · c[i], on a GPU of
  // a copy, counted in and out.
  double bytes = 0;
};

// On the CPU with all threads of the pool and the widest vectors of the machine, whichever
// instruction set the kernels use. Takes about a second.
Peak measure_peak(Device device);

}  // namespace understudy::bench
