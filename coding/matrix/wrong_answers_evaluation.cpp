#include "coding/matrix/wrong_answers_evaluation.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "coding/evaluation.h"
#include "coding/simulate.h"
#include "datasets/loader.h"
#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/random.h"
#include "kernels/check.h"

namespace understudy {
namespace {

// `wrong` different ones of `units` workers for each group, ascending.
std::vector<std::vector<int>> draw_liars(std::int64_t groups, int units, int wrong,
                                         Generator& generator) {
  std::vector<std::vector<int>> liars;
  for (std::int64_t g = 0; g < groups; ++g) {
    const std::vector<std::int64_t> order = generator.permutation(units);
    std::vector<int> chosen(order.begin(), order.begin() + wrong);
    std::sort(chosen.begin(), chosen.end());
    liars.push_back(std::move(chosen));
  }
  return liars;
}

double standard_deviation(const Tensor& x) {
  const double average = mean(x).item();
  return std::sqrt(mean(square(x)).item() - average * average);
}

}  // namespace

WrongAnswersScore evaluate_wrong_answers(BerrutCode& code, Module& base, const Dataset& dataset,
                                         const Tensor& base_outputs, double size,
                                         std::uint64_t seed) {
  check(code.wrong() > 0, "[wrong answers] {} looks for no wrong answer", code.name());
  check(base_outputs.rank() == 2 && base_outputs.size(0) == dataset.size(),
        "[wrong answers] base outputs {} do not belong to the {} images of {}",
        to_string(base_outputs.shape()), dataset.size(), dataset.name);
  NoGradGuard no_grad;
  const CodeEvaluationGuard evaluation(code, base);
  const int k = code.shape().k, units = code.shape().units();
  BerrutCode trusting(code.layout(), code.shape());
  const double spread = size * standard_deviation(base_outputs);
  Generator generator(seed, Stream::sampling);
  WrongAnswersScore score;
  std::int64_t found = 0, honest = 0, located = 0, not_located = 0;

  const Loader loader(dataset, {.batch_size = std::int64_t{250} * k, .shuffle = false, .group = k});
  for (std::int64_t b = 0; b < loader.batches(); ++b) {
    const Batch batch = loader.batch(b);
    const GroupBatch groups =
        as_groups(batch.images, gather_rows(base_outputs, batch.index), batch.labels, k);
    const std::int64_t G = groups.groups.size(0);
    const Tensor outputs = ask_workers(code, base, groups.groups);
    const auto liars = draw_liars(G, units, code.wrong(), generator);
    std::vector<float> lies(static_cast<std::size_t>(G * units), 0.0f);
    for (std::int64_t g = 0; g < G; ++g)
      for (const int worker : liars[static_cast<std::size_t>(g)])
        lies[static_cast<std::size_t>(g * units + worker)] = 1;
    Tensor noise = Tensor::empty(outputs.shape(), outputs.dtype(), outputs.device());
    fill_normal(noise, generator, 0, spread);
    const Tensor lying = Tensor::from(lies, {G, units, 1}, outputs.device());
    const Tensor corrupted = where(cast(lying, outputs.dtype()), noise, outputs);

    const std::vector<ErasurePattern> nobody(static_cast<std::size_t>(G));
    const Erasures all_here(code.shape(), nobody, code.most_losses(), outputs.device());
    const auto suspects = code.suspects(corrupted, all_here);
    for (std::size_t g = 0; g < liars.size(); ++g) found += suspects[g] == liars[g];
    const auto labels = batch.labels.to_vector<std::int64_t>();
    const auto right = [&](QueryCode& decoder, const Tensor& answers) {
      const Tensor decoded = decoder.answer(answers, nobody);
      return count_agreeing(predicted_classes(reshape(decoded, {G * k, decoded.size(2)})), labels);
    };
    honest += right(trusting, outputs);
    located += right(code, corrupted);
    not_located += right(trusting, corrupted);
    score.groups += G;
  }
  const double images = static_cast<double>(score.groups * k);
  score.found = static_cast<double>(found) / static_cast<double>(score.groups);
  score.honest = static_cast<double>(honest) / images;
  score.located = static_cast<double>(located) / images;
  score.not_located = static_cast<double>(not_located) / images;
  return score;
}

}  // namespace understudy
