// Work that is done again and again on the same memory, such as a step of training. On a device that
// can, it is recorded once and from then on repeated as one call, so that launching its hundreds of
// kernels costs nothing; elsewhere it is simply done each time.
#pragma once

#include <functional>
#include <memory>

#include "engine/storage.h"
#include "kernels/backend.h"
#include "kernels/device.h"

namespace understudy {

enum class StepMode {
  recorded,  // where the device can
  eager,     // never: for debugging, and to see what recording is worth
};

// `work` is what a run does. When it is repeated, none of its host code runs; what it did on the
// device is done again, on the same memory. So it may
//   - read and write tensors that were there before and still are, in place: parameters, running
//     statistics, sums, the fixed tensors that hold the batch, the values of a prepared optimiser;
//   - make and drop tensors, whose memory is the step's own;
//   - leave tensors behind, such as gradients: they hold the values of the latest run of this step,
//     as long as it exists.
// It must not
//   - read values (item(), data()) or bring any (Tensor::from, arange): an Error while it is recorded;
//   - count, draw or decide anything on the host that should differ from run to run: that happens
//     once, and belongs before run();
//   - use other tensors, shapes or frozen parameters than those of the day it was recorded.
//
// The first runs are eager, so that lazy beginnings (moments, buffers, the choice of algorithms) are
// behind when it is recorded. They give the same bits as the repeated ones.
class RepeatedStep {
 public:
  RepeatedStep(Device device, StepMode mode, std::function<void()> work);

  // Does the work, or has the device begin to. Throws what the work throws. When that happens in the
  // recorded run, nothing has been done, what the run would have left behind holds any values, and
  // the next run tries to record again.
  void run();

  static constexpr int eager_runs = 2;  // before it is recorded

 private:
  void record();

  Device device_;
  bool records_;
  std::function<void()> work_;
  int runs_ = 0;
  MemoryPool pool_;
  std::unique_ptr<RecordedWork> recorded_;  // gone before the pool that it writes to
};

}  // namespace understudy
