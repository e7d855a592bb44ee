#include "engine/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/check.h"

namespace understudy {
namespace {

void check_lr(const char* schedule, double lr) {
  if (!(lr >= 0) || !std::isfinite(lr))
    throw UsageError(
        fmt::format("[{}] learning rate {}: must be finite and at least 0", schedule, lr));
}

void check_total(const char* schedule, std::int64_t total) {
  if (total < 1)
    throw UsageError(fmt::format("[{}] {} steps: must be at least 1", schedule, total));
}

void check_step(std::int64_t step) { check(step >= 0, "[schedule] step {} is negative", step); }

// From `start` at fraction 0 to `end` at fraction 1 along half a cosine.
double cosine_between(double start, double end, double fraction) {
  return end + (start - end) / 2 * (1 + std::cos(std::numbers::pi * fraction));
}

}  // namespace

Schedule constant_schedule(double lr) {
  check_lr("constant", lr);
  return [lr](std::int64_t step) {
    check_step(step);
    return lr;
  };
}

Schedule step_schedule(double lr, std::int64_t period, double gamma) {
  check_lr("step", lr);
  check_total("step", period);
  if (!(gamma >= 0) || !std::isfinite(gamma))
    throw UsageError(fmt::format("[step] gamma {}: must be finite and at least 0", gamma));
  return [=](std::int64_t step) {
    check_step(step);
    return lr * std::pow(gamma, static_cast<double>(step / period));
  };
}

Schedule cosine_schedule(double lr, std::int64_t total, double minimum) {
  check_lr("cosine", lr);
  check_lr("cosine", minimum);
  check_total("cosine", total);
  return [=](std::int64_t step) {
    check_step(step);
    const double fraction = static_cast<double>(std::min(step, total)) / static_cast<double>(total);
    return cosine_between(lr, minimum, fraction);
  };
}

Schedule one_cycle_schedule(const OneCycle& options) {
  check_lr("one-cycle", options.max_lr);
  check_total("one-cycle", options.total);
  if (!(options.warm_up >= 0 && options.warm_up <= 1))
    throw UsageError(fmt::format("[one-cycle] warm_up {}: must be in [0, 1]", options.warm_up));
  if (!(options.div > 0 && options.final_div > 0))
    throw UsageError(fmt::format("[one-cycle] div {} and final_div {}: must be above 0",
                                 options.div, options.final_div));
  return [o = options](std::int64_t step) {
    check_step(step);
    check(step < o.total, "[one-cycle] step {} of a schedule of {} steps", step, o.total);
    const double start = o.max_lr / o.div;
    const double end = start / o.final_div;
    // Both are update numbers; the peak may lie before the first update, or between two.
    const double peak = o.warm_up * static_cast<double>(o.total) - 1;
    const double last = static_cast<double>(o.total - 1);
    const double now = static_cast<double>(step);
    if (now <= peak && peak > 0) return cosine_between(start, o.max_lr, now / peak);
    if (now <= peak || last <= peak) return o.max_lr;
    return cosine_between(o.max_lr, end, (now - peak) / (last - peak));
  };
}

const std::vector<std::string>& schedule_names() {
  static const std::vector<std::string> names = {"constant", "step", "cosine", "one-cycle"};
  return names;
}

Schedule make_schedule(const std::string& name, double lr, std::int64_t total) {
  if (name == "constant") return constant_schedule(lr);
  if (name == "step") return step_schedule(lr, std::max<std::int64_t>((total + 2) / 3, 1));
  if (name == "cosine") return cosine_schedule(lr, total);
  if (name == "one-cycle") return one_cycle_schedule({.max_lr = lr, .total = total});
  throw UsageError(
      fmt::format("unknown schedule \"{}\": constant, step, cosine or one-cycle", name));
}

}  // namespace understudy
