// The update rules of the optimisers, which are those of torch.optim, for one element of a parameter
// p with gradient g; on the host and on the device.
#pragma once

#include "kernels/host_device.h"
#include "kernels/math.h"

namespace understudy {

// g += weight_decay · p;  b = first ? g : momentum · b + (1 - dampening) · g;
// p -= lr · (nesterov ? g + momentum · b : b).  Without momentum, p -= lr · g.
struct SgdStep {
  double lr, momentum, dampening, weight_decay;
  bool nesterov;
  bool first;  // the momentum buffer starts as the gradient itself (PyTorch)
};

// Adam (Kingma and Ba 2015), t = 1 for the first step:  m = β1 m + (1 - β1) g;  v = β2 v + (1 - β2) g²;
// p -= lr / (1 - β1^t) · m / (√v / √(1 - β2^t) + eps).  Weight decay adds weight_decay · p to g or,
// decoupled (Loshchilov and Hutter 2019), scales p by 1 - lr · weight_decay first.
struct AdamStep {
  double lr, beta1, beta2, eps, weight_decay;
  double correction1, correction2;  // 1 - β1^t and 1 - β2^t
  bool decoupled;                   // AdamW: decay the parameter, not the gradient
};

// A step's numbers in T, as its elements use them: b = keep · b + fresh · g;
// p -= lr · (direct · g + through · b).
template <class T>
struct SgdConstants {
  T lr, weight_decay, keep, fresh, direct, through;
  bool first;  // b is not read
};

template <class T>
UNDERSTUDY_HD SgdConstants<T> sgd_constants(const SgdStep& step) {
  // The first buffer is the gradient itself, whatever the dampening.
  return {.lr = static_cast<T>(step.lr),
          .weight_decay = static_cast<T>(step.weight_decay),
          .keep = step.first ? T(0) : static_cast<T>(step.momentum),
          .fresh = step.first ? T(1) : static_cast<T>(1 - step.dampening),
          .direct = step.nesterov ? T(1) : T(0),
          .through = step.nesterov ? static_cast<T>(step.momentum) : T(1),
          .first = step.first};
}

template <class T>
UNDERSTUDY_HD void sgd_update(T& p, T gradient, const SgdConstants<T>& k) {
  const T g = gradient + k.weight_decay * p;
  p = p - k.lr * g;
}

template <class T>
UNDERSTUDY_HD void sgd_update(T& p, T gradient, T& momentum, const SgdConstants<T>& k) {
  const T g = gradient + k.weight_decay * p;
  const T before = k.first ? T(0) : momentum;
  const T b = k.keep * before + k.fresh * g;
  momentum = b;
  p = p - k.lr * (k.direct * g + k.through * b);
}

template <class T>
struct AdamConstants {
  T keep;  // what decoupled decay leaves of the parameter: 1 - lr · weight_decay
  T beta1, fresh1, beta2, fresh2, eps, weight_decay, step_size, root_scale;
};

template <class T>
UNDERSTUDY_HD AdamConstants<T> adam_constants(const AdamStep& step) {
  return {.keep = static_cast<T>(step.decoupled ? 1 - step.lr * step.weight_decay : 1),
          .beta1 = static_cast<T>(step.beta1),
          .fresh1 = static_cast<T>(1 - step.beta1),
          .beta2 = static_cast<T>(step.beta2),
          .fresh2 = static_cast<T>(1 - step.beta2),
          .eps = static_cast<T>(step.eps),
          .weight_decay = static_cast<T>(step.decoupled ? 0 : step.weight_decay),
          .step_size = static_cast<T>(step.lr / step.correction1),
          .root_scale = static_cast<T>(1 / math::sqrt(step.correction2))};
}

template <class T>
UNDERSTUDY_HD void adam_update(T& p, T gradient, T& mean, T& variance, const AdamConstants<T>& k) {
  const T kept = p * k.keep;
  const T g = gradient + k.weight_decay * p;
  const T m = k.beta1 * mean + k.fresh1 * g;
  const T v = k.beta2 * variance + k.fresh2 * g * g;
  mean = m;
  variance = v;
  p = kept - k.step_size * m / (math::sqrt(v) * k.root_scale + k.eps);
}

}  // namespace understudy
