#include "coding/query_code.h"

#include <limits>
#include <utility>
#include <vector>

#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {
namespace {

void check_groups(const QueryCode& code, const Tensor& groups) {
  check(groups.rank() == 5 && groups.size(1) == code.shape().k,
        "[{}] expected groups (G,{},H,W,C), got {}", code.name(), code.shape().k,
        to_string(groups.shape()));
}

// (G, u, H, W, C) → (G·u, H, W, C)
Tensor as_images(const Tensor& groups) {
  return reshape(groups,
                 {groups.size(0) * groups.size(1), groups.size(2), groups.size(3), groups.size(4)});
}

// The base model, or the parity model of each unit, on parities (G, r, H, W, C) → (G, r, classes).
Tensor ask_parities(QueryCode& code, Module& base, const Tensor& parities) {
  const std::int64_t G = parities.size(0), r = parities.size(1);
  bool base_only = true;
  for (int m = 0; m < r; ++m) base_only = base_only && code.parity_model(m) == nullptr;
  if (base_only) {
    const Tensor y = base(as_images(parities));
    return reshape(y, {G, r, y.size(1)});
  }
  std::vector<Tensor> answers;
  for (int m = 0; m < r; ++m) {
    Module* own = code.parity_model(m);
    answers.push_back((own ? *own : base)(contiguous(select(parities, 1, m))));
  }
  return stack(answers, 1);
}

}  // namespace

QueryCode::QueryCode(const CodeShape& shape) : shape_(shape) { validate(shape); }

Module* QueryCode::parity_model(int) { return nullptr; }

void QueryCode::tune(Module&, const Dataset&, const Tensor&, const std::vector<std::int64_t>&) {}

std::string QueryCode::explain() { return ""; }

Tensor QueryCode::encode(const Tensor& groups) {
  check_groups(*this, groups);
  Tensor parities = encode_groups(groups);
  const Shape expected = {groups.size(0), shape_.r, groups.size(2), groups.size(3), groups.size(4)};
  check(parities.shape() == expected, "[{}] the encoder returned {}, expected {}", name(),
        to_string(parities.shape()), to_string(expected));
  return parities;
}

Tensor QueryCode::queries(const Tensor& groups) {
  if (shape_.r == 0) return groups;
  return concat({groups, encode(groups)}, 1);
}

Tensor QueryCode::decode(const Tensor& outputs, const Erasures& erasures) {
  check(erasures.shape() == shape_,
        "[{}] the erasures are those of a code with k = {}, r = {}; this one has k = {}, r = {}",
        name(), erasures.shape().k, erasures.shape().r, shape_.k, shape_.r);
  check(outputs.rank() == 3 && outputs.size(0) == erasures.groups() &&
            outputs.size(1) == shape_.units(),
        "[{}] expected outputs ({},{},classes), got {}", name(), erasures.groups(), shape_.units(),
        to_string(outputs.shape()));
  const Tensor nothing = Tensor::zeros({1}, outputs.dtype(), outputs.device());
  Tensor decoded =
      decode_outputs(where(erasures.mask(outputs.dtype()), outputs, nothing), erasures);
  const Shape expected = {outputs.size(0), shape_.k, outputs.size(2)};
  check(decoded.shape() == expected, "[{}] the decoder returned {}, expected {}", name(),
        to_string(decoded.shape()), to_string(expected));
  return decoded;
}

Tensor QueryCode::complete(const Tensor& outputs, const Erasures& erasures) {
  const Tensor decoded = decode(outputs, erasures);
  if (!systematic()) return decoded;
  const Tensor answered = slice(erasures.mask(outputs.dtype()), 1, 0, shape_.k);
  return where(answered, slice(outputs, 1, 0, shape_.k), decoded);
}

Tensor QueryCode::answer(const Tensor& outputs, const std::vector<ErasurePattern>& missing) {
  // Nothing is refused here, so the patterns are those of a code that could lose every unit.
  const Erasures all =
      Erasures(shape_, missing, shape_.units(), outputs.device()).and_failed_rows(outputs);
  std::vector<ErasurePattern> recoverable = all.patterns();
  std::vector<float> lost;  // (G, k): rows that cannot be recovered
  for (ErasurePattern& pattern : recoverable) {
    const bool too_many = pattern.losses() > most_losses();
    for (int unit = 0; unit < shape_.k; ++unit)
      lost.push_back(too_many && (!systematic() || pattern.lost(unit)) ? 1.0f : 0.0f);
    if (too_many) pattern = {};
  }
  const Tensor nothing = Tensor::zeros({1}, outputs.dtype(), outputs.device());
  const Tensor arrived = where(all.mask(outputs.dtype()), outputs, nothing);
  const Tensor completed =
      complete(arrived, Erasures(shape_, std::move(recoverable), most_losses(), outputs.device()));
  Tensor cannot_recover = Tensor::empty({1}, outputs.dtype(), outputs.device());
  cannot_recover.fill_(std::numeric_limits<double>::quiet_NaN());
  const Tensor mask = Tensor::from(lost, {outputs.size(0), shape_.k, 1}, outputs.device());
  return where(cast(mask, outputs.dtype()), cannot_recover, completed);
}

Tensor ask_workers(QueryCode& code, Module& base, const Tensor& groups,
                   const Tensor& data_outputs) {
  check_groups(code, groups);
  const std::int64_t G = groups.size(0), k = code.shape().k, r = code.shape().r;
  if (!code.systematic()) {
    const Tensor queries = code.queries(groups);
    const Tensor y = base(as_images(queries));
    return reshape(y, {G, k + r, y.size(1)});
  }
  Tensor data = data_outputs;
  if (!data.defined()) {
    const Tensor y = base(as_images(groups));
    data = reshape(y, {G, k, y.size(1)});
  }
  check(data.rank() == 3 && data.size(0) == G && data.size(1) == k,
        "[{}] expected data outputs ({},{},classes), got {}", code.name(), G, k,
        to_string(data.shape()));
  if (r == 0) return data;
  return concat({data, ask_parities(code, base, code.encode(groups))}, 1);
}

}  // namespace understudy
