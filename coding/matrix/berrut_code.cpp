#include "coding/matrix/berrut_code.h"

#include <algorithm>
#include <cmath>

#include "coding/matrix/wrong_answers.h"
#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {
namespace {

int answers_needed(const CodeShape& shape, int wrong) {
  return wrong == 0 ? shape.k : answers_to_locate(shape.k, wrong);
}

}  // namespace

std::string berrut_name(PointLayout layout) {
  switch (layout) {
    case PointLayout::spread:
      return "berrut";
    case PointLayout::released:
      return "berrut-released";
    case PointLayout::systematic:
      return "systematic-berrut";
  }
  fail("[berrut_name] unknown layout {}", static_cast<int>(layout));
}

Matrix berrut_encoding(PointLayout layout, const CodeShape& shape) {
  const CodePoints points = code_points(layout, shape);
  return berrut_weights(points.data, points.workers);
}

BerrutCode::BerrutCode(PointLayout layout, const CodeShape& shape, int wrong)
    : MatrixCode(shape, berrut_name(layout), layout == PointLayout::systematic),
      layout_(layout),
      points_(code_points(layout, shape)),
      wrong_(wrong),
      most_losses_(shape.units() - answers_needed(shape, wrong)) {
  if (wrong < 0) throw UsageError(fmt::format("{} cannot find {} wrong answers", name(), wrong));
  if (wrong > 0 && systematic())
    throw UsageError(fmt::format(
        "{} takes the answers to the data as they are and cannot find {} wrong ones; berrut can",
        name(), wrong));
  if (most_losses_ < 0)
    throw UsageError(fmt::format(
        "{} needs {} answers to find {} wrong among those of k = {}, 2(k + wrong) - 1, and one "
        "more for each that may be missing; k = {}, r = {} gives {} workers",
        name(), answers_needed(shape, wrong), wrong, shape.k, shape.k, shape.r, shape.units()));
  set_encoding(berrut_encoding(layout, shape));
}

Matrix BerrutCode::decoding_matrix(const ErasurePattern& missing) const {
  const AnsweredWorkers answered = answered_workers(points_, missing);
  return scattered_columns(berrut_weights(answered.points, points_.data), answered.workers,
                           shape().units());
}

std::vector<std::vector<int>> BerrutCode::suspects(const Tensor& outputs,
                                                   const Erasures& erasures) const {
  std::vector<std::vector<int>> found(erasures.patterns().size());
  if (wrong_ == 0) return found;
  const std::vector<double> values =
      to(cast(outputs.detach(), DType::f64), Device{}).to_vector<double>();
  const int classes = static_cast<int>(outputs.size(2));
  check(std::ranges::all_of(values, [](double value) { return std::isfinite(value); }),
        "[{}] an answer is NaN or infinite: count it as missing first, by and_failed_rows()",
        name());
  auto answer = values.begin();  // of group g, worker i
  for (std::size_t g = 0; g < found.size(); ++g) {
    const auto [workers, points] = answered_workers(points_, erasures.patterns()[g]);
    Matrix answers(static_cast<int>(workers.size()), classes);
    for (int l = 0; l < answers.rows(); ++l)
      std::copy_n(answer + workers[static_cast<std::size_t>(l)] * classes, classes,
                  answers.row(l).begin());
    answer += shape().units() * classes;
    for (int l : locate_wrong(points, answers, shape().k, wrong_))
      found[g].push_back(workers[static_cast<std::size_t>(l)]);
  }
  return found;
}

Tensor BerrutCode::decode_outputs(const Tensor& outputs, const Erasures& erasures) {
  std::vector<ErasurePattern> left_out = erasures.patterns();
  const std::vector<std::vector<int>> wrong = suspects(outputs, erasures);
  for (std::size_t g = 0; g < left_out.size(); ++g)
    for (int i : wrong[g]) left_out[g].lose(i);
  return decode_patterns(outputs, left_out);
}

}  // namespace understudy
