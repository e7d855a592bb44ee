// Learning rates as functions of the step: nothing to save, and a resumed run asks for its own
// step. Steps count optimiser updates from 0 unless a caller means epochs by them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace understudy {

// The learning rate to use for update number `step`. Error for a negative step.
using Schedule = std::function<double(std::int64_t step)>;

Schedule constant_schedule(double lr);
// lr · gamma^(step / period), rounded down (PyTorch's StepLR).
Schedule step_schedule(double lr, std::int64_t period, double gamma = 0.1);
// Half a cosine from lr at 0 to `minimum` at `total` (CosineAnnealingLR); it stays there
// afterwards, where PyTorch's climbs again.
Schedule cosine_schedule(double lr, std::int64_t total, double minimum = 0);

// PyTorch's OneCycleLR with cosine annealing in two phases: from max_lr / div up to max_lr at
// update warm_up · total - 1, then down to max_lr / div / final_div at update total - 1. Later
// steps are an Error. Momentum is not cycled: PyTorch's cycle_momentum=False.
struct OneCycle {
  double max_lr;
  std::int64_t total;
  double warm_up = 0.3;
  double div = 25, final_div = 1e4;
};
Schedule one_cycle_schedule(const OneCycle& options);

// What make_schedule knows.
const std::vector<std::string>& schedule_names();
// "constant", "step" (a tenth at each third of the run), "cosine" (down to 0) or "one-cycle" (lr is
// its peak), for a run of `total` updates. UsageError for another name.
Schedule make_schedule(const std::string& name, double lr, std::int64_t total);

}  // namespace understudy
