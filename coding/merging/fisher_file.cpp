#include "coding/merging/fisher_file.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <utility>

#include "coding/trainable_code.h"
#include "engine/autograd.h"
#include "engine/nn/pytorch_state.h"
#include "engine/ops.h"
#include "engine/safetensors.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace understudy {
namespace {

constexpr const char* kind_of_file = "fisher";
constexpr std::size_t most_named = 3, digits = 12;  // of tensors and of a checksum, for a person

// The tensors of `fisher` in the order of `model`'s parameters and in their dtype. Error that says
// which do not fit; `what` begins it.
std::vector<NamedTensor> fitted(Module& model, const std::vector<NamedTensor>& fisher,
                                const std::string& what) {
  std::map<std::string, Tensor> given;
  for (const NamedTensor& named : fisher) given.emplace(named.name, named.tensor);
  std::vector<std::string> faults;
  std::vector<NamedTensor> result;
  for (const NamedTensor& own : model.named_parameters()) {
    const auto found = given.find(own.name);
    if (found == given.end()) {
      faults.push_back(fmt::format("\"{}\" {} is missing", own.name, own.tensor.shape()));
      continue;
    }
    const Tensor theirs = found->second;
    given.erase(found);
    if (!is_floating(theirs.dtype()) || theirs.shape() != own.tensor.shape())
      faults.push_back(fmt::format("\"{}\" is {} of {}, expected {}", own.name, theirs.shape(),
                                   theirs.dtype(), own.tensor.shape()));
    // Written so that NaN fails.
    else if (theirs.count() > 0 && !(max(reshape(neg(theirs), {-1}), 0).item() <= 0))
      faults.push_back(fmt::format("\"{}\" has values below 0 or NaN", own.name));
    else if (theirs.count() > 0 && !std::isfinite(max(reshape(theirs, {-1}), 0).item()))
      faults.push_back(fmt::format("\"{}\" has infinite values", own.name));
    else
      result.push_back({own.name, to(cast(theirs, own.tensor.dtype()), own.tensor.device())});
  }
  for (const auto& [name, tensor] : given)
    faults.push_back(fmt::format("\"{}\" {} is not in the network", name, tensor.shape()));
  if (faults.size() > most_named + 1) {
    const std::size_t others = faults.size() - most_named;
    faults.resize(most_named);
    faults.push_back(fmt::format("{} others", others));
  }
  check(faults.empty(), "{}: is no Fisher information of this network: {}", what,
        fmt::join(faults, "; "));
  return result;
}

template <class Number>
Number number(const std::string& text, const std::string& key) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  check(error == std::errc() && end == text.data() + text.size(),
        "metadata \"{}\" should be a number, found \"{}\"", key, text);
  return value;
}

std::optional<FisherInfo> info_in(const std::map<std::string, std::string>& metadata) {
  if (!metadata.contains("understudy.kind")) return {};
  const auto text = [&](const std::string& key) {
    const auto found = metadata.find(key);
    check(found != metadata.end(), "the metadata have no \"{}\"", key);
    return found->second;
  };
  check(text("understudy.kind") == kind_of_file, "holds a \"{}\", expected a \"{}\"",
        text("understudy.kind"), kind_of_file);
  return FisherInfo{.kind = fisher_kind(text("fisher.kind")),
                    .points = number<std::int64_t>(text("fisher.points"), "fisher.points"),
                    .dataset = text("fisher.dataset"),
                    .model = text("fisher.model"),
                    .seed = number<std::uint64_t>(text("fisher.seed"), "fisher.seed"),
                    .machine = metadata.contains("fisher.machine") ? text("fisher.machine") : ""};
}

}  // namespace

void save_fisher(const std::filesystem::path& path, Module& model,
                 const std::vector<NamedTensor>& fisher, const FisherInfo& info) {
  const NoGradGuard no_grad;
  Safetensors content;
  for (const NamedTensor& named :
       to_pytorch_order(model, fitted(model, fisher, "[save_fisher] " + path.string())))
    content.tensors.emplace_back(named.name, named.tensor);
  content.metadata = {{"understudy.kind", kind_of_file},
                      {"fisher.kind", to_string(info.kind)},
                      {"fisher.points", std::to_string(info.points)},
                      {"fisher.dataset", info.dataset},
                      {"fisher.model", info.model},
                      {"fisher.seed", std::to_string(info.seed)},
                      {"fisher.machine", info.machine},
                      {"fisher.model_sha256", model_checksum(model)},
                      {"format", "pt"}};
  write_safetensors(path, content);
}

FisherFile load_fisher(const std::filesystem::path& path, Module& model) {
  const NoGradGuard no_grad;
  const Safetensors content = read_safetensors(path);
  FisherFile file;
  try {
    file.info = info_in(content.metadata);
  } catch (const Error& error) {
    fail("{}: {}", path.string(), error.what());
  }
  std::vector<NamedTensor> tensors;
  for (const auto& [name, tensor] : content.tensors) tensors.push_back({name, tensor});
  file.fisher = fitted(model, from_pytorch_order(model, std::move(tensors)), path.string());
  const auto made_for = content.metadata.find("fisher.model_sha256");
  if (made_for == content.metadata.end()) return file;
  const std::string here = model_checksum(model);
  check(made_for->second == here,
        "{}: is the Fisher information of parameters with SHA-256 {}…, here are {}…; make it anew "
        "for this network",
        path.string(), made_for->second.substr(0, digits), here.substr(0, digits));
  return file;
}

}  // namespace understudy
