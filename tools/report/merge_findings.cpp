#include "tools/report/merge_findings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

#include "tools/report/markup.h"
#include "tools/report/merge_tables.h"

namespace understudy::report {
namespace {

// Settings of the two at one P, in the order of P.
struct Pair {
  const MergeSetting* coin;
  const MergeSetting* distill;
};

std::vector<Pair> pairs_of(const MergePlace& place) {
  std::vector<Pair> pairs;
  const MergeRow *coin = place.usual("coin"), *distill = place.usual("distill");
  if (!coin || !distill) return pairs;
  for (const auto& points : place.points)
    if (const Pair pair{coin->at(points), distill->at(points)}; points && pair.coin && pair.distill)
      pairs.push_back(pair);
  return pairs;
}

bool passes(const Pair& pair) { return pair.distill->score().mean > pair.coin->score().mean; }

std::string took(const MergeSetting& setting) { return elapsed(setting.seconds().mean); }

// With spaces where no line breaks.
std::string unbroken(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == ' ' ? "\u00a0" : std::string(1, c);
  return out;
}

// "86.2 % against 76.0 % of COIN (10.2 ± 1.4 points)", numbers and their signs unbroken.
std::string against(const MergeSetting& a, const MergeSetting& b, const char* whose = "") {
  const auto by = difference(a, b);
  return fmt::format("{:.1f}\u00a0% against {:.1f}\u00a0%{}{}", a.score().mean, b.score().mean,
                     whose, by ? fmt::format(" ({} points)", unbroken(score_cell(by))) : "");
}

// The seconds of distilling and the epoch after which its mean test score is above `coin`, as far as
// all seeds have a curve.
std::string passed_after(const MergeSetting& distill, double coin) {
  struct Sums {
    std::vector<double> scores, seconds;
  };
  std::map<double, Sums> epochs;
  for (const MergeOutcome* merge : distill.seeds)
    for (const MergeCurvePoint& point : merge->curve)
      if (point.test && point.seconds) {
        epochs[point.epoch].scores.push_back(*point.test);
        epochs[point.epoch].seconds.push_back(*point.seconds);
      }
  for (const auto& [epoch, sums] : epochs)
    if (sums.scores.size() == distill.seeds.size() && estimate(sums.scores).mean > coin)
      return fmt::format(", and is above COIN after epoch {}, {}", epoch,
                         elapsed(estimate(sums.seconds).mean));
  return "";
}

std::string standing_of_coin(const MergePlace& place) {
  const MergeRow* row = place.usual("coin");
  const auto points = compared_points(place);
  const MergeSetting* coin = row && points ? row->at(points) : nullptr;
  if (!coin) return "";
  std::vector<std::string> parts;
  for (const char* rival : {"average", "regmean"})
    if (const MergeRow* other = place.usual(rival))
      if (const MergeSetting* there = other->at(other->at(points) ? points : std::nullopt))
        parts.push_back(fmt::format(
            "{} {}, {}", coin->score().mean > there->score().mean ? "above" : "not above",
            written_method(rival), against(*coin, *there)));
  if (parts.empty()) return "";
  return fmt::format("At {} COIN is {}.", written_points(points), fmt::join(parts, "; it is "));
}

std::string best_of(const MergePlace& place) {
  const auto points = compared_points(place);
  const MergeRow* coin = place.usual("coin");
  const MergeRow* best = nullptr;
  int there = 0;
  for (const MergeRow& row : place.rows)
    if (const MergeSetting* setting = row.at(points)) {
      if (!best || setting->score().mean > best->at(points)->score().mean) best = &row;
      ++there;
    }
  if (!points || !coin || !coin->at(points) || there < 2) return "";
  if (best == coin) return fmt::format("At {} no method is above COIN.", written_points(points));
  return fmt::format("Best at {}: {}. It has {} and takes {} against {}.", written_points(points),
                     best->name(), against(*best->at(points), *coin->at(points), " of COIN"),
                     took(*best->at(points)), took(*coin->at(points)));
}

std::string words_on_points(const MergePlace& place) {
  const std::vector<Pair> pairs = pairs_of(place);
  if (pairs.empty()) return "";
  const auto crossing = crossing_in_points(place);
  if (!crossing) {
    const Pair& last = pairs.back();
    return fmt::format(
        "Distillation is not above COIN at any P that both were run at; at {} it has {}.",
        written_points(last.coin->any().points), against(*last.distill, *last.coin));
  }
  const std::string points = written_points(crossing->coin->any().points);
  std::string words = crossing->at_once
                          ? fmt::format(
                                "Distillation is above COIN already at {}, the smallest "
                                "that was run: ",
                                points)
                          : fmt::format("Distillation passes COIN at {}: ", points);
  words += fmt::format("{}. It takes {} there{}; COIN takes {}.",
                       against(*crossing->distill, *crossing->coin), took(*crossing->distill),
                       passed_after(*crossing->distill, crossing->coin->score().mean),
                       took(*crossing->coin));
  if (crossing->below_again)
    words += fmt::format(" At {} it is below COIN again.", written_points(crossing->below_again));
  return words;
}

std::string words_on_seconds(const MergePlace& place) {
  const auto crossing = crossing_in_seconds(place);
  if (!crossing) return "";
  if (!crossing->coin)
    return fmt::format("Distillation at {} takes {}, less than COIN at any P.",
                       written_points(crossing->distill->any().points), took(*crossing->distill));
  return fmt::format(
      "With less than {} COIN is the better of the two. Distillation at {} takes so long "
      "and "
      "has {:.1f}\u00a0%; the best of COIN in that time, at {} in {}, has {:.1f}\u00a0%.",
      took(*crossing->distill), written_points(crossing->distill->any().points),
      crossing->distill->score().mean, written_points(crossing->coin->any().points),
      took(*crossing->coin), crossing->coin->score().mean);
}

}  // namespace

std::optional<Crossing> crossing_in_points(const MergePlace& place) {
  const std::vector<Pair> pairs = pairs_of(place);
  std::optional<Crossing> crossing;
  for (const Pair& pair : pairs) {
    if (!crossing && passes(pair))
      crossing = Crossing{pair.coin, pair.distill, &pair == &pairs.front(), {}};
    else if (crossing && !crossing->below_again && !passes(pair))
      crossing->below_again = pair.coin->any().points;
  }
  return crossing;
}

std::optional<CrossingInTime> crossing_in_seconds(const MergePlace& place) {
  const MergeRow *coin = place.usual("coin"), *distill = place.usual("distill");
  if (!coin || !distill) return std::nullopt;
  std::optional<CrossingInTime> first;
  for (const MergeSetting& setting : distill->settings) {
    const double seconds = setting.seconds().mean;
    if (first && first->distill->seconds().mean <= seconds) continue;
    const MergeSetting* best = nullptr;
    for (const MergeSetting& other : coin->settings)
      if (other.seconds().mean <= seconds && (!best || other.score().mean > best->score().mean))
        best = &other;
    if (!best || setting.score().mean > best->score().mean) first = CrossingInTime{&setting, best};
  }
  return first;
}

std::vector<std::string> merge_findings(const MergePlace& place) {
  std::vector<std::string> all;
  for (std::string& words :
       std::vector<std::string>{standing_of_coin(place), best_of(place), words_on_points(place),
                                words_on_seconds(place)})
    if (!words.empty()) all.push_back(std::move(words));
  return all;
}

}  // namespace understudy::report
