#include "engine/optim/optimizer.h"

#include <fmt/ranges.h>

#include <cmath>
#include <map>
#include <unordered_set>
#include <utility>

#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/profile.h"
#include "kernels/backend.h"
#include "kernels/check.h"

namespace understudy {
namespace {

void check_lr(double lr) {
  if (!(lr >= 0) || !std::isfinite(lr))
    throw UsageError(fmt::format("[optim] learning rate {}: must be finite and at least 0", lr));
}

}  // namespace

Optimizer::Optimizer(std::vector<NamedTensor> parameters, double lr,
                     std::vector<std::string> moments)
    : parameters_(std::move(parameters)),
      lr_(lr),
      moments_(std::move(moments)),
      states_(parameters_.size()) {
  check_lr(lr);
  check(!parameters_.empty(), "[optim] no parameters to optimise");
  std::unordered_set<std::string> names;
  std::unordered_set<const void*> bodies;
  const Tensor& first = parameters_.front().tensor;
  for (const auto& [name, tensor] : parameters_) {
    check(tensor.defined(), "[optim] {} is undefined", name);
    check(is_floating(tensor.dtype()), "[optim] {} is {}; only float32 and float64 can be trained",
          name, to_string(tensor.dtype()));
    check(tensor.is_contiguous(), "[optim] {} is strided; a parameter is dense", name);
    check(tensor.dtype() == first.dtype() && tensor.device() == first.device(),
          "[optim] {} is {} on {}, but {} is {} on {}: give each kind its own optimiser", name,
          to_string(tensor.dtype()), to_string(tensor.device()), parameters_.front().name,
          to_string(first.dtype()), to_string(first.device()));
    check(names.insert(name).second, "[optim] two parameters are named {}", name);
    check(bodies.insert(tensor.body()).second, "[optim] {} was given before under another name",
          name);
  }
}

void Optimizer::set_lr(double lr) {
  check_lr(lr);
  lr_ = lr;
}

void Optimizer::clear_gradients() {
  for (NamedTensor& parameter : parameters_) parameter.tensor.clear_grad();
}

Optimizer::Slot Optimizer::make_slot(std::size_t index, std::vector<Tensor>& hold) {
  auto& [name, parameter] = parameters_[index];
  State& state = states_[index];
  Tensor gradient = parameter.grad();
  check(gradient.shape() == parameter.shape() && gradient.dtype() == parameter.dtype() &&
            gradient.device() == parameter.device(),
        "[optim] the gradient of {} is {} {} on {}, expected {} {} on {}", name,
        to_string(gradient.shape()), to_string(gradient.dtype()), to_string(gradient.device()),
        to_string(parameter.shape()), to_string(parameter.dtype()), to_string(parameter.device()));
  if (!gradient.is_contiguous()) {
    gradient = contiguous(gradient);
    hold.push_back(gradient);
  }
  Slot slot{parameter.mutable_view().data, gradient.view().data, {}, parameter.count()};
  for (std::size_t m = 0; m < moments_.size(); ++m) {
    Tensor& moment = state.moment[m];
    if (!moment.defined())
      moment = Tensor::zeros(parameter.shape(), parameter.dtype(), parameter.device());
    slot.moment[m] = moment.mutable_view().data;
  }
  return slot;
}

void Optimizer::make_passes() {
  passes_.clear();
  std::map<std::int64_t, std::size_t> pass_of;  // by the number of updates
  for (const std::size_t index : active_) {
    const auto [found, is_new] = pass_of.emplace(states_[index].step, passes_.size());
    if (is_new) passes_.emplace_back();
    passes_[found->second].push_back(index);
  }
}

void Optimizer::prepare_step() {
  const ProfileScope scope("optimizer step");
  const Device device = parameters_.front().tensor.device();
  for (std::size_t p = 0; p < passes_.size(); ++p) {
    const std::int64_t step = states_[passes_[p].front()].step + 1;
    const std::span<const std::byte> bytes = values(step);
    if (p == values_.size())
      values_.push_back(Tensor::empty({std::ssize(bytes)}, DType::u8, device));
    backend(device).from_host(values_[p].mutable_view().data, bytes.data(), bytes.size());
    for (const std::size_t index : passes_[p]) states_[index].step = step;
  }
  prepared_ = true;
}

void Optimizer::apply_step() {
  const ProfileScope scope("optimizer step");
  NoGradGuard no_grad;
  with_gradient_.clear();
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor& parameter = parameters_[i].tensor;
    if (parameter.requires_grad() && parameter.grad().defined()) with_gradient_.push_back(i);
  }
  if (with_gradient_ != active_) {
    if (prepared_)
      for (const std::size_t index : active_) --states_[index].step;
    prepared_ = false;
    active_ = with_gradient_;
    make_passes();
  }
  if (!prepared_) prepare_step();
  const Tensor& first = parameters_.front().tensor;
  for (std::size_t p = 0; p < passes_.size(); ++p) {
    slots_.clear();
    hold_.clear();
    for (const std::size_t index : passes_[p]) slots_.push_back(make_slot(index, hold_));
    update(first.dtype(), first.device(), slots_, values_[p].view().data);
  }
  hold_.clear();
  prepared_ = false;
}

void Optimizer::step() {
  prepare_step();
  apply_step();
}

std::vector<NamedTensor> Optimizer::state_dict() const {
  std::vector<NamedTensor> state;
  state.push_back({"lr", Tensor::full({}, lr_, DType::f64)});
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const std::string& name = parameters_[i].name;
    state.push_back({name + ".step", Tensor::from(std::vector<std::int64_t>{states_[i].step}, {})});
    if (states_[i].step == 0) continue;
    for (std::size_t m = 0; m < moments_.size(); ++m)
      state.push_back({name + "." + moments_[m], states_[i].moment[m]});
  }
  return state;
}

void Optimizer::load_state_dict(const std::vector<NamedTensor>& state) {
  std::vector<std::string> faults;
  std::map<std::string, Tensor> given;
  for (const auto& [name, tensor] : state)
    if (!given.emplace(name, tensor).second) faults.push_back(name + " is repeated");
  // Takes a tensor out of `given`, so that what is left over in the end was not expected.
  const auto take = [&](const std::string& name, const Shape& shape, DType dtype) -> Tensor {
    const auto found = given.find(name);
    if (found == given.end()) {
      faults.push_back(name + " is missing");
      return {};
    }
    const Tensor tensor = std::move(found->second);
    given.erase(found);
    if (tensor.defined() && tensor.shape() == shape && tensor.dtype() == dtype) return tensor;
    faults.push_back(tensor.defined()
                         ? fmt::format("{} is {} {}, expected {} {}", name,
                                       to_string(tensor.shape()), to_string(tensor.dtype()),
                                       to_string(shape), to_string(dtype))
                         : fmt::format("{} is undefined", name));
    return {};
  };

  NoGradGuard no_grad;
  const Tensor lr = take("lr", {}, DType::f64);
  if (lr.defined() && !(lr.item() >= 0 && std::isfinite(lr.item())))
    faults.push_back(fmt::format("lr is {}", lr.item()));
  std::vector<State> states(parameters_.size());
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const auto& [name, parameter] = parameters_[i];
    const Tensor step = take(name + ".step", {}, DType::i64);
    if (!step.defined()) {
      for (const std::string& moment : moments_) given.erase(name + "." + moment);
      continue;
    }
    states[i].step = to(step, Device{}).data<std::int64_t>()[0];
    if (states[i].step < 0) faults.push_back(fmt::format("{}.step is {}", name, states[i].step));
    if (states[i].step <= 0) continue;
    for (std::size_t m = 0; m < moments_.size(); ++m) {
      const Tensor source = take(name + "." + moments_[m], parameter.shape(), parameter.dtype());
      if (!source.defined()) continue;
      states[i].moment[m] = Tensor::empty(parameter.shape(), parameter.dtype(), parameter.device());
      states[i].moment[m].copy_(source);
    }
  }
  for (const auto& [name, tensor] : given) faults.push_back(name + " is not expected");
  check(faults.empty(), "[optim] the state does not fit the optimiser: {}",
        fmt::join(faults, ", "));
  set_lr(lr.item());
  // Into the moments that are there: recorded work writes to them.
  for (std::size_t i = 0; i < states_.size(); ++i) {
    states_[i].step = states[i].step;
    for (std::size_t m = 0; m < moments_.size(); ++m) {
      Tensor& moment = states_[i].moment[m];
      if (!moment.defined())
        moment = states[i].moment[m];
      else if (states[i].moment[m].defined())
        moment.copy_(states[i].moment[m]);
      else
        moment.fill_(0);
    }
  }
  prepared_ = false;
  make_passes();
}

}  // namespace understudy
