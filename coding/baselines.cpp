#include "coding/baselines.h"

#include <algorithm>
#include <vector>

#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {

Replication::Replication(int k, int copies) : QueryCode({k, copies * k}), copies_(copies) {
  check(copies >= 1, "[replication] {} copies: at least 1 is needed", copies);
}

Tensor Replication::encode_groups(const Tensor& groups) {
  return concat(std::vector<Tensor>(static_cast<std::size_t>(copies_), groups), 1);
}

Tensor Replication::decode_outputs(const Tensor& outputs, const Erasures& erasures) {
  const int k = shape().k;
  const Tensor mask = erasures.mask(outputs.dtype());
  Tensor answer = slice(outputs, 1, copies_ * k, (copies_ + 1) * k);
  for (int copy = copies_ - 1; copy >= 0; --copy)
    answer = where(slice(mask, 1, copy * k, (copy + 1) * k),
                   slice(outputs, 1, copy * k, (copy + 1) * k), answer);
  return answer;
}

NoCode::NoCode(int k, std::int64_t majority_class)
    : QueryCode({k, 0}), majority_class_(majority_class) {
  check(majority_class >= 0, "[no code] class {} is negative", majority_class);
}

Tensor NoCode::encode_groups(const Tensor& groups) {
  return Tensor::empty({groups.size(0), 0, groups.size(2), groups.size(3), groups.size(4)},
                       groups.dtype(), groups.device());
}

Tensor NoCode::decode_outputs(const Tensor& outputs, const Erasures&) {
  check(majority_class_ < outputs.size(2),
        "[no code] class {} is guessed, but there are {} classes", majority_class_,
        outputs.size(2));
  Tensor guess = Tensor::zeros({outputs.size(2)}, outputs.dtype(), outputs.device());
  slice(guess, 0, majority_class_, majority_class_ + 1).fill_(1);
  return contiguous(broadcast_to(guess, {outputs.size(0), shape().k, outputs.size(2)}));
}

std::int64_t majority_class(const Tensor& labels, std::int64_t classes) {
  check(classes >= 1, "[majority_class] {} classes", classes);
  std::vector<std::int64_t> count(static_cast<std::size_t>(classes), 0);
  for (std::int64_t label : labels.to_vector<std::int64_t>()) {
    check(label >= 0 && label < classes, "[majority_class] label {} is outside [0, {})", label,
          classes);
    ++count[static_cast<std::size_t>(label)];
  }
  return std::max_element(count.begin(), count.end()) - count.begin();
}

}  // namespace understudy
