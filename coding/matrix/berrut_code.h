// Berrut rational interpolation: ApproxIFER (arXiv 2109.09868), Berrut approximated coded computing
// (arXiv 2009.08327). No training, any number of missing answers, any model; an approximation even
// for a linear model once k >= 4.
#pragma once

#include <string>
#include <vector>

#include "coding/matrix/interpolation.h"
#include "coding/matrix/matrix_code.h"

namespace understudy {

class BerrutCode : public MatrixCode {
 public:
  // `wrong`: how many of the answers that come may be arbitrarily wrong. They are located
  // (wrong_answers.h) and left out. That takes 2(k + wrong) − 1 answers, so the code can miss that
  // many fewer than k + r: UsageError with both numbers when there are not as many workers, and for
  // systematic codes, which take the answers to the data as they are.
  BerrutCode(PointLayout layout, const CodeShape& shape, int wrong = 0);

  int most_losses() const override { return most_losses_; }
  int wrong() const { return wrong_; }
  PointLayout layout() const { return layout_; }
  // The workers that are left out of each group for their answers, ascending, `wrong` of them:
  // outputs (G, k+r, classes). None where wrong = 0.
  std::vector<std::vector<int>> suspects(const Tensor& outputs, const Erasures& erasures) const;

 protected:
  Matrix decoding_matrix(const ErasurePattern& missing) const override;
  Tensor decode_outputs(const Tensor& outputs, const Erasures& erasures) override;

 private:
  PointLayout layout_;
  CodePoints points_;
  int wrong_;
  int most_losses_;
};

// "berrut", "berrut-released", "systematic-berrut".
std::string berrut_name(PointLayout layout);
// E (k+r, k): the interpolant through the data, read at the workers' points.
Matrix berrut_encoding(PointLayout layout, const CodeShape& shape);

}  // namespace understudy
