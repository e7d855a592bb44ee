// Coding with smoothing splines: NeRCC (arXiv 2402.04377), LeTCC (arXiv 2406.00300). Workers are
// asked points of a spline through the data; missing answers are read off a spline through those
// that came.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "coding/matrix/interpolation.h"
#include "coding/matrix/matrix_code.h"

namespace understudy {

// How much each spline may miss its values to bend less: the λ of spline_weights().
struct Smoothing {
  double encode = 0;  // λ_e
  double decode = 0;  // λ_d
};
// What tune() tries for each of the two.
std::span<const double> smoothing_grid();

class SplineCode : public MatrixCode {
 public:
  // "spline", with the points of `spread`; "systematic-spline", where the first k workers have the
  // data and λ_e is that of the parities. UsageError for a negative or infinite λ.
  SplineCode(PointLayout layout, const CodeShape& shape, const Smoothing& smoothing = {});

  const Smoothing& smoothing() const { return smoothing_; }
  // Takes λ_e and λ_d of the grid with the best recovery-accuracy over standard_patterns(); of
  // equals the one with the smallest squared error. Looks at the first images alone, as many as
  // give most_tuning_answers reconstructions over all patterns, but 20 groups at least; the base
  // model answers once for each λ_e.
  void tune(Module& base, const Dataset& dataset, const Tensor& base_outputs,
            const std::vector<std::int64_t>& index) override;
  static constexpr std::int64_t most_tuning_answers = 20000;
  std::int64_t most_tuning_images() const;  // that tune() looks at
  std::string explain() override;

 protected:
  Matrix decoding_matrix(const ErasurePattern& missing) const override;

 private:
  void set_smoothing(const Smoothing& smoothing);
  CodePoints points_;
  Smoothing smoothing_;
};

}  // namespace understudy
