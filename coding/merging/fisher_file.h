// Fisher information as a file beside its model, so that a merge later needs no data.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "coding/merging/fisher_kind.h"
#include "engine/nn/module.h"

namespace understudy {

// How a Fisher information came about.
struct FisherInfo {
  FisherKind kind = FisherKind::gaussian;
  std::int64_t points = 0;
  std::string dataset;     // whose points
  std::string model;       // Model::describe()
  std::uint64_t seed = 0;  // of the points, and of labels that were sampled
  std::string machine;     // that computed it, with the precision; empty where a file does not say
};

// A safetensors file: a tensor for each parameter by its name, in PyTorch's order of axes; `info`
// and the SHA-256 of the model's state in the metadata. Error when `fisher` is not that of a network
// like `model`.
void save_fisher(const std::filesystem::path& path, Module& model,
                 const std::vector<NamedTensor>& fisher, const FisherInfo& info);

struct FisherFile {
  std::vector<NamedTensor> fisher;  // as diagonal_fisher() returned it
  std::optional<FisherInfo> info;   // none where the file does not say, as that of another program
};
// Error that names the file, and the first tensors that `model` has and the file has not, that only
// the file has, that differ in shape, or that have values which no Fisher information has (below 0,
// infinite, NaN); and when the file says that it belongs to other parameters.
FisherFile load_fisher(const std::filesystem::path& path, Module& model);

}  // namespace understudy
