#include "engine/nn/batch_norm.h"

#include <vector>

#include "engine/autograd.h"
#include "engine/nn/observer.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace understudy {

BatchNorm::BatchNorm(std::int64_t channels, const Options& options)
    : eps(options.eps), momentum(options.momentum) {
  check(channels >= 1, "[BatchNorm] {} channels: at least 1 needed", channels);
  check(eps > 0, "[BatchNorm] eps must be positive, found {}", eps);
  check(!momentum || (*momentum >= 0 && *momentum <= 1),
        "[BatchNorm] momentum must be from 0 to 1, found {}", momentum.value_or(0));
  weight = Tensor::ones({channels}).set_requires_grad(true);
  bias = Tensor::zeros({channels}).set_requires_grad(true);
  running_mean = Tensor::zeros({channels});
  running_var = Tensor::ones({channels});
  num_batches_tracked = Tensor::zeros({}, DType::i64);
}

Tensor BatchNorm::normalize(const Tensor& x, const Tensor& residual, Activation activation) {
  check(x.rank() >= 2 && x.size(-1) == channels(),
        "[BatchNorm] input {}: expected (..., {}), channels last", x.shape(), channels());
  if (LayerObserver::current() && (residual.defined() || activation != Activation::none)) {
    const Tensor y = (*this)(x);
    const Tensor total = residual.defined() ? y + residual : y;
    return activation == Activation::relu ? relu(total) : total;
  }
  ChannelStatistics statistics{running_mean, running_var};
  if (training()) {
    const std::int64_t rows = x.count() / channels();
    check(rows > 1, "[BatchNorm] training on {}: needs more than one value per channel", x.shape());
    statistics = channel_statistics(x);
    track(statistics, rows);
  }
  return batch_norm(x, weight, bias, statistics, eps, residual, activation);
}

void BatchNorm::track(const ChannelStatistics& batch, std::int64_t rows) {
  NoGradGuard no_grad;
  num_batches_tracked.copy_(cast(num_batches_tracked, DType::f64) + 1.0);
  // The average over all batches reads their number, and so cannot be recorded (repeated_step.h).
  const double fresh = momentum ? *momentum : 1 / num_batches_tracked.item();
  const double n = static_cast<double>(rows);
  const auto move = [&](Tensor& running, const Tensor& now, double factor) {
    running.copy_(scale(running, 1 - fresh) + scale(now, fresh * factor));
  };
  move(running_mean, batch.mean, 1);
  move(running_var, batch.variance, n / (n - 1));
}

BatchNorm::Affine BatchNorm::affine() const {
  NoGradGuard no_grad;
  const Tensor factor = weight / sqrt(shift(running_var, eps));
  return {factor, bias - running_mean * factor};
}

void BatchNorm::reset_running_statistics() {
  running_mean.fill_(0);
  running_var.fill_(1);
  num_batches_tracked.fill_(0);
}

void BatchNorm::members(Members& m) {
  m.parameter("weight", weight);
  m.parameter("bias", bias);
  m.buffer("running_mean", running_mean);
  m.buffer("running_var", running_var);
  m.buffer("num_batches_tracked", num_batches_tracked);
}

namespace {

// Puts every batch norm inside a network, itself among them, into training mode and lets it average
// over all batches from now on; in the end each is as it was.
class Reestimation {
 public:
  explicit Reestimation(Module& network) {
    note(network);
    Members members({}, [this](Module& module) { note(module); });
    network.members(members);
    for (const Before& before : norms_) {
      before.norm->reset_running_statistics();
      before.norm->momentum.reset();
      before.norm->train();
    }
  }
  ~Reestimation() {
    for (const Before& before : norms_) {
      before.norm->momentum = before.momentum;
      before.norm->train(before.training);
    }
  }
  Reestimation(const Reestimation&) = delete;
  Reestimation& operator=(const Reestimation&) = delete;

 private:
  struct Before {
    BatchNorm* norm;
    std::optional<double> momentum;
    bool training;
  };
  void note(Module& module) {
    if (auto* norm = dynamic_cast<BatchNorm*>(&module))
      norms_.push_back({norm, norm->momentum, norm->training()});
  }
  std::vector<Before> norms_;
};

}  // namespace

void reestimate_batch_norm(Module& network, const std::function<Tensor()>& next) {
  NoGradGuard no_grad;
  Tensor x = next();
  check(x.defined(), "[reestimate_batch_norm] there is no batch to measure on");
  const Reestimation reestimation(network);
  for (; x.defined(); x = next()) network.forward(x);
}

}  // namespace understudy
