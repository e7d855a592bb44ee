// What a code is compared with: sending every query twice, and doing nothing.
#pragma once

#include "coding/query_code.h"

namespace understudy {

// Every query goes to `copies` more workers: r = copies·k, parity m·k + j is the m-th copy of data
// unit j. Exact, for `copies` times the machines.
class Replication : public QueryCode {
 public:
  explicit Replication(int k, int copies = 1);
  std::string name() const override { return "replication"; }
  int most_losses() const override { return copies_; }  // one more may hit all copies of a query
  bool pattern_matters() const override { return false; }
  std::int64_t encode_multiply_adds(const Shape&) const override { return 0; }
  std::int64_t decode_multiply_adds(std::int64_t) const override { return 0; }

 protected:
  Tensor encode_groups(const Tensor& groups) override;
  Tensor decode_outputs(const Tensor& outputs, const Erasures& erasures) override;

 private:
  int copies_;
};

// No parity at all: a missing answer is guessed to be the class that is most frequent in the
// training data, as logits 1 there and 0 elsewhere.
class NoCode : public QueryCode {
 public:
  NoCode(int k, std::int64_t majority_class);
  std::string name() const override { return "no code"; }
  int most_losses() const override { return shape().k; }
  bool pattern_matters() const override { return false; }
  std::int64_t encode_multiply_adds(const Shape&) const override { return 0; }
  std::int64_t decode_multiply_adds(std::int64_t) const override { return 0; }

 protected:
  Tensor encode_groups(const Tensor& groups) override;
  Tensor decode_outputs(const Tensor& outputs, const Erasures& erasures) override;

 private:
  std::int64_t majority_class_;
};

// The most frequent of `labels` (i64, in [0, classes)); the smallest of equals.
std::int64_t majority_class(const Tensor& labels, std::int64_t classes);

}  // namespace understudy
