// Re-Basin as a step of a merge: the models of the problem replaced by aligned copies.
#include "coding/merging/alignment.h"
#include "coding/merging/merge.h"
#include "kernels/check.h"
#include "models/registry.h"

namespace understudy {

void align_models(MergeWork& work) {
  check_same_architecture(work.models);
  const PermutationSpec spec = permutation_spec(*work.models[0]);
  const std::vector<NamedTensor> reference = work.models[0]->state_dict();
  const auto& first = dynamic_cast<const Model&>(*work.models[0]);  // as all that have a spec
  Generator generator(work.seed, Stream::shuffling);
  for (std::size_t i = 1; i < work.models.size(); ++i) {
    Module& model = *work.models[i];
    const std::vector<NamedTensor> state = model.state_dict();
    Alignment found;
    const std::vector<NamedTensor> aligned = align(spec, reference, state, generator, &found);
    std::unique_ptr<Model> copy = make_model(first.describe());
    copy->to(state[0].tensor.dtype());
    copy->to(state[0].tensor.device());
    copy->load_state_dict(aligned);
    copy->train(model.training());
    if (i < work.fishers.size())
      work.fishers[i] = permuted(spec, found.permutations, std::move(work.fishers[i]));
    work.models[i] = copy.get();
    work.made.push_back(std::move(copy));
  }
}

}  // namespace understudy
