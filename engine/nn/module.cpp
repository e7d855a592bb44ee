#include "engine/nn/module.h"

#include <fmt/ranges.h>

#include <map>
#include <unordered_set>

#include "engine/autograd.h"
#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {
namespace {

template <class Keep>
std::vector<NamedTensor> collect(Module& module, Keep keep) {
  std::vector<NamedTensor> found;
  std::unordered_set<std::string> paths;
  Members members([&](const std::string& path, Tensor& tensor, MemberKind kind, WeightLayout) {
    check(paths.insert(path).second, "[module] two members have the path \"{}\"", path);
    if (keep(kind)) found.push_back({path, tensor});
  });
  module.members(members);
  return found;
}

// Puts convert(tensor) in place of every member that `applies` to.
template <class Applies, class Convert>
void replace_members(Module& module, Applies applies, Convert convert) {
  NoGradGuard no_grad;
  Members members([&](const std::string&, Tensor& tensor, MemberKind, WeightLayout) {
    if (!applies(tensor)) return;
    const bool requires_grad = tensor.requires_grad();
    tensor = convert(tensor);
    if (requires_grad) tensor.set_requires_grad(true);
  });
  module.members(members);
}

}  // namespace

void Members::add(const std::string& name, Tensor& tensor, MemberKind kind, WeightLayout layout) {
  if (tensor.defined() && visit_) visit_(prefix_ + name, tensor, kind, layout);
}

void Members::parameter(const std::string& name, Tensor& tensor, WeightLayout layout) {
  add(name, tensor, MemberKind::parameter, layout);
}

void Members::buffer(const std::string& name, Tensor& tensor) {
  add(name, tensor, MemberKind::buffer, WeightLayout::plain);
}

void Members::child(const std::string& name, Module& module) {
  if (visit_module_) visit_module_(module);
  const std::size_t before = prefix_.size();
  if (!name.empty()) prefix_ += name + ".";
  module.members(*this);
  prefix_.resize(before);
}

std::vector<NamedTensor> Module::named_parameters() {
  return collect(*this, [](MemberKind kind) { return kind == MemberKind::parameter; });
}

std::vector<NamedTensor> Module::named_buffers() {
  return collect(*this, [](MemberKind kind) { return kind == MemberKind::buffer; });
}

std::vector<Tensor> Module::parameters() {
  std::vector<Tensor> tensors;
  for (NamedTensor& named : named_parameters()) tensors.push_back(std::move(named.tensor));
  return tensors;
}

std::int64_t Module::parameter_count() {
  std::int64_t count = 0;
  for (const NamedTensor& named : named_parameters()) count += named.tensor.count();
  return count;
}

std::vector<NamedTensor> Module::state_dict() {
  std::vector<NamedTensor> state = collect(*this, [](MemberKind) { return true; });
  for (NamedTensor& named : state) named.tensor = named.tensor.detach();
  return state;
}

void Module::load_state_dict(const std::vector<NamedTensor>& state) {
  std::vector<std::string> repeated, missing, unexpected, different;
  std::map<std::string, Tensor> given;
  for (const NamedTensor& named : state)
    if (!given.emplace(named.name, named.tensor).second) repeated.push_back(named.name);

  std::vector<NamedTensor> own = state_dict();
  for (const NamedTensor& named : own) {
    const auto found = given.find(named.name);
    if (found == given.end()) {
      missing.push_back(named.name);
      continue;
    }
    const Tensor& have = named.tensor;
    const Tensor& source = found->second;
    if (!source.defined())
      different.push_back(fmt::format("{} is undefined", named.name));
    else if (source.shape() != have.shape())
      different.push_back(fmt::format("{} is {}, expected {}", named.name,
                                      to_string(source.shape()), to_string(have.shape())));
    else if (source.dtype() != have.dtype() &&
             !(is_floating(source.dtype()) && is_floating(have.dtype())))
      different.push_back(fmt::format("{} is {}, expected {}", named.name,
                                      to_string(source.dtype()), to_string(have.dtype())));
  }
  std::unordered_set<std::string> known;
  for (const NamedTensor& named : own) known.insert(named.name);
  for (const auto& [name, tensor] : given)
    if (!known.contains(name)) unexpected.push_back(name);

  std::vector<std::string> faults;
  const auto report = [&](const char* what, const std::vector<std::string>& names) {
    if (!names.empty()) faults.push_back(fmt::format("{}: {}", what, fmt::join(names, ", ")));
  };
  report("missing", missing);
  report("unexpected", unexpected);
  report("different", different);
  report("repeated", repeated);
  check(faults.empty(), "[load_state_dict] the tensors do not fit the network; {}",
        fmt::join(faults, "; "));
  for (NamedTensor& named : own) named.tensor.copy_(given.at(named.name));
}

void Module::set_requires_grad(bool value) {
  Members members([&](const std::string&, Tensor& tensor, MemberKind kind, WeightLayout) {
    if (kind == MemberKind::parameter) tensor.set_requires_grad(value);
  });
  this->members(members);
}

void Module::train(bool value) {
  training_ = value;
  Members members({}, [&](Module& module) { module.training_ = value; });
  this->members(members);
}

EvaluationGuard::EvaluationGuard(Module& module) {
  const auto note = [this](Module& m) {
    if (m.training()) were_training_.push_back(&m);
  };
  note(module);
  Members members({}, note);
  module.members(members);
  module.eval();
}

EvaluationGuard::~EvaluationGuard() {
  for (Module* module : were_training_) module->training_ = true;
}

void Module::to(DType dtype) {
  check(is_floating(dtype), "[module] parameters are float32 or float64, not {}", to_string(dtype));
  replace_members(
      *this, [&](const Tensor& x) { return is_floating(x.dtype()) && x.dtype() != dtype; },
      [&](const Tensor& x) { return cast(x, dtype); });
}

void Module::to(Device device) {
  replace_members(
      *this, [&](const Tensor& x) { return x.device() != device; },
      [&](const Tensor& x) { return understudy::to(x, device); });
}

}  // namespace understudy
