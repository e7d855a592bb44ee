#include "tools/runs/step_sums.h"

#include "engine/autograd.h"
#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {

StepSums::StepSums(Device device, const std::vector<double>& start)
    : read_at_(std::chrono::steady_clock::now()) {
  for (const double value : start) sums_.push_back(Tensor::full({}, value, DType::f64, device));
}

void StepSums::add(std::initializer_list<Tensor> values) {
  check(values.size() == sums_.size(), "[StepSums] {} values for {} sums", values.size(),
        sums_.size());
  const NoGradGuard no_grad;
  auto value = values.begin();
  for (Tensor& sum : sums_) sum.copy_(sum + cast(*value++, DType::f64));
}

void StepSums::set(const std::vector<double>& values) {
  check(values.size() == sums_.size(), "[StepSums] {} values for {} sums", values.size(),
        sums_.size());
  for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i].fill_(values[i]);
}

bool StepSums::due() const {
  using namespace std::chrono_literals;
  return sums_.front().device() == Device{} || std::chrono::steady_clock::now() - read_at_ >= 500ms;
}

std::vector<double> StepSums::read() {
  read_at_ = std::chrono::steady_clock::now();
  return stack(sums_, 0).to_vector<double>();
}

}  // namespace understudy
