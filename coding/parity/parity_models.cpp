#include "coding/parity/parity_models.h"

#include <algorithm>
#include <utility>

#include "coding/matrix/parity_rows.h"
#include "coding/matrix/pattern_product.h"
#include "coding/parity/concatenation.h"
#include "engine/nn/pytorch_state.h"
#include "engine/ops.h"
#include "kernels/check.h"
#include "models/registry.h"

namespace understudy {
namespace {

std::string part_name(std::size_t m) { return fmt::format("parity{}", m); }

const ParityModelsOptions& checked(const ParityModelsOptions& options) {
  if (options.input == ParityInput::concat) check_concatenation(options.shape, options.image);
  return options;
}

std::vector<std::unique_ptr<Model>> make_networks(const ParityModelsOptions& options,
                                                  Generator& generator) {
  std::vector<std::unique_ptr<Model>> networks;
  for (int m = 0; m < options.shape.r; ++m) {
    networks.push_back(make_model(options.base.model, generator));
    check(networks.back()->classes() == options.classes,
          "[parity models] \"{}\" has {} classes, {} expected", options.base.model,
          networks.back()->classes(), options.classes);
  }
  return networks;
}

}  // namespace

ParityInput parity_input(const std::string& name) {
  if (name == "sum") return ParityInput::sum;
  if (name == "concat") return ParityInput::concat;
  throw UsageError(fmt::format("unknown parity input \"{}\"; there are: sum, concat", name));
}

const char* to_string(ParityInput input) { return input == ParityInput::sum ? "sum" : "concat"; }

ParityModels::ParityModels(const ParityModelsOptions& options, Generator& generator)
    : TrainableCode({options.shape, options.image, options.classes, options.base}),
      options_(checked(options)),
      linear_(options.shape, "sum",
              stacked(Matrix::identity(options.shape.k), vandermonde_rows(options.shape))),
      networks_(make_networks(options, generator)) {}

std::string ParityModels::name() const {
  return fmt::format("parity models ({})", to_string(options_.input));
}

Module* ParityModels::parity_model(int m) {
  return networks_.at(static_cast<std::size_t>(m)).get();
}

void ParityModels::members(Members& m) {
  for (std::size_t i = 0; i < networks_.size(); ++i) m.child(part_name(i), *networks_[i]);
}

std::vector<TrainableCode::Part> ParityModels::parts() {
  std::vector<Part> all;
  for (std::size_t i = 0; i < networks_.size(); ++i)
    all.push_back({part_name(i), networks_[i].get()});
  return all;
}

std::int64_t ParityModels::groups_per_batch() const {
  const int k = shape().k;
  return k <= 2 ? 64 : k <= 4 ? 32 : std::max(1, 160 / k);
}

Tensor ParityModels::training_loss(Module&, const GroupBatch& batch, const Erasures&,
                                   CodeLoss loss) {
  if (loss != CodeLoss::mse_base)
    throw UsageError(fmt::format("parity models are trained with the loss mse; got {}",
                                 understudy::to_string(loss)));
  const Tensor parities = encode(batch.groups);
  // (r, k) · (G, k, classes) → (G, r, classes)
  const Tensor sums = matmul(wanted_sums_.get(vandermonde_rows(shape()), batch.data_outputs.dtype(),
                                              batch.data_outputs.device()),
                             batch.data_outputs.detach());
  Tensor total;
  for (int m = 0; m < shape().r; ++m) {
    const Tensor answers =
        (*networks_[static_cast<std::size_t>(m)])(contiguous(select(parities, 1, m)));
    const Tensor error = mse(answers, contiguous(select(sums, 1, m)));
    total = total.defined() ? total + error : error;
  }
  return total;
}

Tensor ParityModels::encode_groups(const Tensor& groups) {
  if (options_.input == ParityInput::sum) return linear_.encode(groups);
  check(groups.size(2) == options_.image[0] && groups.size(3) == options_.image[1],
        "[{}] made for images {}, got groups {}", name(), understudy::to_string(options_.image),
        understudy::to_string(groups.shape()));
  // Every parity model sees the same image and answers with another sum.
  const Tensor mosaic = concatenate_images(groups);
  return concat(std::vector<Tensor>(static_cast<std::size_t>(shape().r), mosaic), 1);
}

Tensor ParityModels::decode_outputs(const Tensor& outputs, const Erasures& erasures) {
  return linear_.decode(outputs, erasures);
}

std::int64_t ParityModels::encode_multiply_adds(const Shape& image) const {
  if (options_.input == ParityInput::sum) return linear_.encode_multiply_adds(image);
  return shape().k * image.count();  // every pixel enters one mean
}

std::int64_t ParityModels::decode_multiply_adds(std::int64_t classes) const {
  return linear_.decode_multiply_adds(classes);
}

// ---- files ----

std::map<std::string, std::string> ParityModels::metadata() const {
  return {{"understudy.kind", "parity-models"},
          {"understudy.parity_input", to_string(options_.input)}};
}

std::unique_ptr<ParityModels> read_parity_models(const Safetensors& content,
                                                 const std::string& file) try {
  const CodePurpose purpose = purpose_in(content);
  const auto input = content.metadata.find("understudy.parity_input");
  check(input != content.metadata.end(), "its metadata have no \"understudy.parity_input\"");
  const ParityModelsOptions options = {.shape = purpose.shape,
                                       .input = parity_input(input->second),
                                       .image = purpose.image,
                                       .classes = purpose.classes,
                                       .base = purpose.base};
  check(!purpose.base.model.empty(), "its metadata have no \"understudy.base.model\"");
  // Before anything as large as the text claims is made.
  const std::int64_t described = described_size(purpose.base.model);
  std::int64_t held = 0;
  for (const auto& named : content.tensors) held += named.second.count();
  check(described <= held / purpose.shape.r,
        "{} times \"{}\" has {} values each, the file holds {}", purpose.shape.r,
        purpose.base.model, described, held);
  Generator generator(0);
  auto code = std::make_unique<ParityModels>(options, generator);
  std::vector<NamedTensor> state;
  for (const auto& [name, tensor] : content.tensors) state.push_back({name, tensor});
  load_pytorch_state(*code, std::move(state));
  return code;
} catch (const Error& e) {
  // Whatever does not fit is the file's fault, not that of a flag.
  fail("{}: {}", file, e.what());
}

}  // namespace understudy
