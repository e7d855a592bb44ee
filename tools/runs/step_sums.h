// Sums over steps of training, such as those of an epoch's losses: on the device, where a step can add
// to them while it is recorded, and read once in a while.
#pragma once

#include <chrono>
#include <initializer_list>
#include <vector>

#include "engine/tensor.h"

namespace understudy {

class StepSums {
 public:
  // As many sums as `start` has numbers.
  StepSums(Device device, const std::vector<double>& start);

  // Adds a value () to each, in double: a part of the step.
  void add(std::initializer_list<Tensor> values);
  void set(const std::vector<double>& values);

  // Whether to read them between two steps: after each on the CPU; elsewhere, where reading waits for
  // all steps that have been begun, twice a second.
  bool due() const;
  std::vector<double> read();

 private:
  std::vector<Tensor> sums_;  // f64 ()
  std::chrono::steady_clock::time_point read_at_;
};

}  // namespace understudy
