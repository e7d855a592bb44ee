// The ceilings that measurements are compared with.
#pragma once

#include "kernels/device.h"

namespace understudy::bench {

struct Peak {
  double flops = 0;  // a second: float multiply-adds that stay in registers, two each
  double bytes = 0;  // a second: a[i] = b[i] + s · c[i] over arrays much larger than caches
};

// With all threads of the pool and the widest vectors of the machine, whichever instruction set the
// kernels use; takes about a second. Error for a device whose ceilings are not known here.
Peak measure_peak(Device device);

}  // namespace understudy::bench
