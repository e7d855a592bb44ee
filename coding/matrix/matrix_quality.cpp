// What MatrixCode::explain says: how good a code's matrices are, before any data are seen.
#include <algorithm>
#include <limits>
#include <string>

#include "coding/matrix/matrix_code.h"
#include "kernels/check.h"

namespace understudy {
namespace {

constexpr double most_examined = 5000;  // patterns; each needs a decomposition
constexpr std::size_t most_shown = 16;

// Workers of a systematic code are the data and parity units, x and p; of any other just workers.
std::string worker_name(const MatrixCode& code, int worker) {
  const int k = code.shape().k;
  if (!code.systematic()) return fmt::format("w{}", worker);
  return worker < k ? fmt::format("x{}", worker) : fmt::format("p{}", worker - k);
}

std::string pattern_name(const MatrixCode& code, const ErasurePattern& missing) {
  std::string text;
  for (int i = 0; i < code.shape().units(); ++i)
    if (missing.lost(i)) text += (text.empty() ? "" : ", ") + worker_name(code, i);
  return text.empty() ? "nothing" : text;
}

std::string quality_text(const MatrixCode& code, const PatternQuality& quality) {
  return fmt::format("  {:<20} {:>10.3g} {:>10.3g} {:>10.3g}\n",
                     pattern_name(code, quality.missing), quality.condition, quality.noise,
                     quality.bias);
}

// The patterns of up to `losses` missing answers that leave something to reconstruct, `losses` as
// many as most_losses() where these are not too many.
std::vector<ErasurePattern> examined_patterns(const MatrixCode& code, int& losses) {
  double total = 0, of_size = 1;
  losses = 0;
  while (losses < code.most_losses()) {
    of_size = of_size * (code.shape().units() - losses) / (losses + 1);
    total += of_size;
    if (losses > 0 && total > most_examined) break;
    ++losses;
  }
  std::vector<ErasurePattern> patterns = all_patterns(code.shape(), losses, code.systematic());
  if (!code.systematic()) patterns.insert(patterns.begin(), ErasurePattern{});
  return patterns;
}

}  // namespace

PatternQuality pattern_quality(const MatrixCode& code, const ErasurePattern& missing) {
  const int k = code.shape().k;
  const Matrix& E = code.encoding();
  const std::shared_ptr<const Matrix> decoding = code.decoding(missing);
  const Matrix& D = *decoding;
  std::vector<int> answered, all;
  for (int i = 0; i < E.rows(); ++i)
    if (!missing.lost(i)) answered.push_back(i);
  for (int j = 0; j < k; ++j) all.push_back(j);

  PatternQuality quality{missing};
  quality.condition = answered.size() < all.size() ? std::numeric_limits<double>::infinity()
                                                   : condition_number(submatrix(E, answered, all));
  Matrix error = product(D, E);
  for (int j = 0; j < k; ++j) {
    error(j, j) -= 1;
    if (!code.systematic() || missing.lost(j))
      quality.noise = std::max(quality.noise, norm_2(D.row(j)));
  }
  quality.bias = norm_infinity(error);
  return quality;
}

std::string MatrixCode::explain() {
  const int N = shape().units(), k = shape().k;
  std::string text = fmt::format(
      "{}: k = {}, {} workers, {}\nE, what each is asked:\n", name_, k, N,
      systematic_ ? fmt::format("the first {} get the data", k) : "all get mixtures of the data");
  for (int i = 0; i < N; ++i) {
    text += fmt::format("  {:>4}", worker_name(*this, i));
    for (double value : encoding().row(i)) text += fmt::format(" {:9.4f}", value);
    text += "\n";
  }

  int losses = 0;
  std::vector<PatternQuality> qualities;
  for (const ErasurePattern& missing : examined_patterns(*this, losses))
    qualities.push_back(pattern_quality(*this, missing));
  if (qualities.empty()) return text;
  std::ranges::stable_sort(qualities, std::ranges::greater{}, &PatternQuality::noise);
  const auto least_exact = std::ranges::max_element(qualities, {}, &PatternQuality::bias);

  text += fmt::format(
      "D, over {} patterns of up to {} missing answers{}\n"
      "  condition: of what is left of E; noise: the most by which independent errors of the "
      "answers "
      "grow;\n  bias: ‖D E − I‖∞, 0 when a linear model is decoded exactly\n"
      "  {:<20} {:>10} {:>10} {:>10}\n",
      qualities.size(), losses,
      losses < most_losses() ? fmt::format(" (of {} that it can bear)", most_losses()) : "",
      "missing", "condition", "noise", "bias");
  for (std::size_t i = 0; i < std::min(most_shown, qualities.size()); ++i)
    text += quality_text(*this, qualities[i]);
  if (qualities.size() > most_shown)
    text += fmt::format("  ... and {} with less noise\n", qualities.size() - most_shown);
  text += fmt::format("most noise: {:.3g}, missing {}; most bias: {:.3g}, missing {}\n",
                      qualities[0].noise, pattern_name(*this, qualities[0].missing),
                      least_exact->bias, pattern_name(*this, least_exact->missing));
  return text;
}

}  // namespace understudy
