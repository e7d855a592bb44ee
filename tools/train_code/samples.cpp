#include "tools/train_code/samples.h"

#include <algorithm>

#include "coding/simulate.h"
#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/safetensors.h"

namespace understudy {

void write_samples(const std::filesystem::path& path, QueryCode& code, const Dataset& test,
                   std::int64_t groups) {
  NoGradGuard no_grad;
  const CodeEvaluationGuard evaluation(code);
  const std::int64_t k = code.shape().k, G = std::min(groups, test.size() / k);
  const std::int64_t H = test.images.size(1), W = test.images.size(2), C = test.images.size(3);
  const Tensor index = Tensor::arange(G * k, DType::i64, test.images.device());
  const Tensor parities = code.encode(reshape(images_at(test, index), {G, k, H, W, C}));
  Safetensors content;
  content.tensors = {
      {"inputs", reshape(gather_rows(test.images, index), {G, k, H, W, C})},
      {"parities", contiguous(parities)},
      {"labels", reshape(gather_rows(test.labels, index), {G, k})},
  };
  write_safetensors(path, content);
}

}  // namespace understudy
