#include "engine/repeated_step.h"

#include <utility>

#include "kernels/check.h"

namespace understudy {

RepeatedStep::RepeatedStep(Device device, StepMode mode, std::function<void()> work)
    : device_(device),
      records_(mode == StepMode::recorded && backend(device).can_record()),
      work_(std::move(work)),
      pool_(device) {}

void RepeatedStep::run() {
  if (!records_) return work_();
  if (runs_ < eager_runs) {
    const PoolScope scope(pool_);
    work_();
    ++runs_;
    return;
  }
  if (!recorded_) record();
  recorded_->run();
}

void RepeatedStep::record() {
  const PoolScope scope(pool_);
  Backend& device = backend(device_);
  device.begin_recording();
  try {
    work_();
  } catch (...) {
    try {
      device.end_recording();
    } catch (const Error&) {  // of a recording that nobody wants
    }
    throw;
  }
  recorded_ = device.end_recording();
  check(recorded_ != nullptr, "{} recorded nothing", to_string(device_));
}

}  // namespace understudy
