// A code that is two matrices: workers are asked X̃ = E·X, missing answers are Ŷ = D_S·Y_S, where
// S is who answered. Whatever differs between such codes is the numbers in E and D_S.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "coding/matrix/dense.h"
#include "coding/matrix/pattern_product.h"
#include "coding/query_code.h"

namespace understudy {

class MatrixCode : public QueryCode {
 public:
  // `systematic`: the first k rows of E are the identity, and answers to the data stay as they are.
  MatrixCode(const CodeShape& shape, std::string name, bool systematic);

  std::string name() const override { return name_; }
  bool systematic() const override { return systematic_; }
  Tensor queries(const Tensor& groups) override;
  // E, and for patterns of missing answers, the worst first: how well what is left determines the
  // data, how far errors of the answers grow, how far D_S is from exact for a linear model.
  std::string explain() override;
  std::int64_t encode_multiply_adds(const Shape& image) const override;
  // Of the most expensive pattern: most_losses() missing data units.
  std::int64_t decode_multiply_adds(std::int64_t classes) const override;

  const Matrix& encoding() const { return encoding_; }  // E (k+r, k)
  // D_S (k, k+r), zero columns where an answer is missing. Kept for each pattern; safe to call from
  // several threads.
  std::shared_ptr<const Matrix> decoding(const ErasurePattern& missing) const;

 protected:
  // To be called by the constructors of derived classes, and again when E changes. Error when it is
  // not (k+r, k), or when a systematic code's first rows are not the identity. Not for use while
  // other threads decode.
  void set_encoding(Matrix encoding);
  // Forgets every D_S: what they are made from has changed.
  void forget_decodings();
  // D_S. Columns of missing answers are not looked at, nor, of a systematic code, rows of data that
  // were answered.
  virtual Matrix decoding_matrix(const ErasurePattern& missing) const = 0;

  Tensor encode_groups(const Tensor& groups) override;
  Tensor decode_outputs(const Tensor& outputs, const Erasures& erasures) override;
  // Each group by the matrix of its pattern: outputs (G, k+r, classes) → (G, k, classes).
  Tensor decode_patterns(const Tensor& outputs, const std::vector<ErasurePattern>& patterns) const;

 private:
  std::string name_;
  bool systematic_;
  Matrix encoding_;
  ResidentMatrix resident_;
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::uint64_t, std::shared_ptr<const Matrix>> decodings_;
};

// What is known of a code under one pattern before any data are seen.
struct PatternQuality {
  ErasurePattern missing;
  double condition = 0;  // of E_S: largest over smallest singular value
  // Independent errors of the answers, all of standard deviation 1, give a reconstruction one of at
  // most this: the largest 2-norm of a row of D_S that reconstructs.
  double noise = 0;
  double bias = 0;  // ‖D_S·E_S − I‖∞: 0 when a linear model is decoded exactly
};
PatternQuality pattern_quality(const MatrixCode& code, const ErasurePattern& missing);

}  // namespace understudy
