#include "coding/merging/fisher_kind.h"

#include <fmt/ranges.h>

#include <cmath>

#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/random.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace understudy {
namespace {

struct Named {
  FisherKind kind;
  const char* name;
};
constexpr Named kinds[] = {{FisherKind::gaussian, "gaussian"},
                           {FisherKind::classification, "classification"},
                           {FisherKind::sampled, "sampled"},
                           {FisherKind::empirical, "empirical"}};

}  // namespace

FisherKind fisher_kind(const std::string& name) {
  for (const Named& named : kinds)
    if (name == named.name) return named.kind;
  throw UsageError(fmt::format("unknown Fisher kind \"{}\"; there are: {}", name,
                               fmt::join(fisher_kind_names(), ", ")));
}

const char* to_string(FisherKind kind) {
  for (const Named& named : kinds)
    if (kind == named.kind) return named.name;
  return "unknown kind";
}

std::vector<std::string> fisher_kind_names() {
  std::vector<std::string> names;
  for (const Named& named : kinds) names.emplace_back(named.name);
  return names;
}

FisherSeeds::FisherSeeds(const FisherOptions& options, std::int64_t points, const Tensor& labels)
    : kind_(options.kind) {
  if (kind_ == FisherKind::empirical) {
    check(
        labels.defined(),
        "[fisher] the empirical Fisher information needs the points' labels, and none were given");
    check(labels.dtype() == DType::i64 && labels.shape() == Shape{points},
          "[fisher] labels {} of {} for {} points; expected int64 {}", labels.shape(),
          labels.dtype(), points, Shape{points});
    labels_ = labels.to_vector<std::int64_t>();
  }
  if (kind_ == FisherKind::sampled) {
    // One draw a point, so that the batch size has no influence.
    Generator generator(options.seed, Stream::sampling);
    for (std::int64_t i = 0; i < points; ++i) draws_.push_back(generator.uniform());
  }
}

// The given label, or the first class up to which the probabilities p reach this point's draw.
std::int64_t FisherSeeds::label(std::int64_t point, const double* p, std::int64_t classes) const {
  const auto at = static_cast<std::size_t>(point);
  if (kind_ == FisherKind::empirical) {
    check(labels_[at] >= 0 && labels_[at] < classes,
          "[fisher] point {} has the label {}, but the model has {} classes", point, labels_[at],
          classes);
    return labels_[at];
  }
  double sum = 0;
  for (std::int64_t c = 0; c < classes; ++c) {
    sum += p[c];
    if (sum > draws_[at]) return c;
  }
  return classes - 1;  // the probabilities add up to a little less than 1
}

std::vector<Tensor> FisherSeeds::of_batch(std::int64_t first, const Tensor& logits) const {
  const NoGradGuard no_grad;
  const std::int64_t N = logits.size(0), C = logits.size(1);
  std::vector<double> p(static_cast<std::size_t>(N * C));  // what is subtracted: nothing or softmax
  if (kind_ != FisherKind::gaussian)
    p = softmax(cast(logits.detach(), DType::f64)).to_vector<double>();
  std::vector<Tensor> seeds;
  const bool labelled = kind_ == FisherKind::sampled || kind_ == FisherKind::empirical;
  for (std::int64_t c = 0; c < (labelled ? 1 : C); ++c) {
    std::vector<double> seed(static_cast<std::size_t>(N * C));
    for (std::int64_t n = 0; n < N; ++n) {
      const double* const row = p.data() + n * C;
      const std::int64_t y = labelled ? label(first + n, row, C) : c;
      const double weight = kind_ == FisherKind::classification ? std::sqrt(row[c]) : 1;
      for (std::int64_t i = 0; i < C; ++i)
        seed[static_cast<std::size_t>(n * C + i)] = weight * ((i == y ? 1.0 : 0.0) - row[i]);
    }
    seeds.push_back(cast(Tensor::from(seed, {N, C}, logits.device()), logits.dtype()));
  }
  return seeds;
}

}  // namespace understudy
