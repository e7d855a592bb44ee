#include "coding/matrix/spline_code.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "coding/evaluation.h"
#include "coding/matrix/smoothing_spline.h"
#include "coding/simulate.h"
#include "kernels/check.h"

namespace understudy {
namespace {

constexpr double grid[] = {0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1};

// A model that is asked the same questions in the same order several times, and works once.
class ReplayedModel : public Module {
 public:
  explicit ReplayedModel(Module& model) : model_(model) {}
  Tensor forward(const Tensor& x) override {
    if (next_ == answers_.size()) answers_.push_back(model_(x));
    return answers_[next_++];
  }
  void members(Members& m) override { m.child("model", model_); }
  void rewind() { next_ = 0; }

 private:
  Module& model_;
  std::vector<Tensor> answers_;
  std::size_t next_ = 0;
};

std::string spline_name(PointLayout layout) {
  check(layout != PointLayout::released, "[spline] there are no released points of spline codes");
  return layout == PointLayout::systematic ? "systematic-spline" : "spline";
}

bool better(const CodeScore& a, const CodeScore& b) {
  const double of_a = a.recovery_accuracy(), of_b = b.recovery_accuracy();
  return of_a > of_b || (of_a == of_b && a.squared_error < b.squared_error);
}

}  // namespace

std::span<const double> smoothing_grid() { return grid; }

SplineCode::SplineCode(PointLayout layout, const CodeShape& shape, const Smoothing& smoothing)
    : MatrixCode(shape, spline_name(layout), layout == PointLayout::systematic),
      points_(code_points(layout, shape)) {
  for (double lambda : {smoothing.encode, smoothing.decode})
    if (!(lambda >= 0 && std::isfinite(lambda)))
      throw UsageError(
          fmt::format("the λ of {} must be finite and 0 or more; got {}", name(), lambda));
  set_smoothing(smoothing);
}

void SplineCode::set_smoothing(const Smoothing& smoothing) {
  smoothing_ = smoothing;
  if (!systematic()) {
    set_encoding(spline_weights(points_.data, points_.workers, smoothing.encode));
  } else {
    const auto parities = std::span(points_.workers).subspan(points_.data.size());
    set_encoding(stacked(Matrix::identity(shape().k),
                         spline_weights(points_.data, parities, smoothing.encode)));
  }
}

Matrix SplineCode::decoding_matrix(const ErasurePattern& missing) const {
  const AnsweredWorkers answered = answered_workers(points_, missing);
  return scattered_columns(spline_weights(answered.points, points_.data, smoothing_.decode),
                           answered.workers, shape().units());
}

std::int64_t SplineCode::most_tuning_images() const {
  std::int64_t answers_per_group = 0;
  for (const ErasurePattern& pattern : standard_patterns(*this))
    answers_per_group += reconstructed_rows(*this, pattern);
  return shape().k * std::max<std::int64_t>(20, most_tuning_answers / answers_per_group);
}

void SplineCode::tune(Module& base, const Dataset& dataset, const Tensor& base_outputs,
                      const std::vector<std::int64_t>& index) {
  std::vector<std::int64_t> images = index;
  if (images.empty()) {  // all, as evaluate_code has it
    images.resize(static_cast<std::size_t>(dataset.size()));
    std::iota(images.begin(), images.end(), 0);
  }
  check(static_cast<int>(images.size()) >= shape().k,
        "[{}] λ cannot be chosen on {} images: a group has {}", name(), images.size(), shape().k);
  const std::vector<ErasurePattern> patterns = standard_patterns(*this);
  const std::int64_t enough = most_tuning_images();
  if (static_cast<std::int64_t>(images.size()) > enough)
    images.resize(static_cast<std::size_t>(enough));

  Smoothing best;
  CodeScore best_score;
  bool first = true;
  for (double encode : grid) {
    ReplayedModel replayed(base);
    for (double decode : grid) {
      set_smoothing({encode, decode});
      replayed.rewind();
      const CodeScore score =
          evaluate_code(*this, replayed, dataset, base_outputs, patterns, images);
      if (first || better(score, best_score)) {
        best = smoothing_;
        best_score = score;
      }
      first = false;
    }
    if (shape().k < 3) break;  // a straight line, whatever λ_e
  }
  set_smoothing(best);
}

std::string SplineCode::explain() {
  return fmt::format("{}λ_e = {:g}, λ_d = {:g}\n", MatrixCode::explain(), smoothing_.encode,
                     smoothing_.decode);
}

}  // namespace understudy
