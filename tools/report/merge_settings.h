// The merges of an experiment: put together over seeds, named, and put in the order of tables.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tools/report/estimate.h"
#include "tools/report/experiment.h"

namespace understudy::report {

// Merges that differ in nothing but the seed.
struct MergeSetting {
  std::vector<const MergeOutcome*> seeds;  // never empty; of the experiment, which outlives this

  const MergeOutcome& any() const { return *seeds.front(); }
  // Over the seeds that have the value; empty when none has.
  std::optional<Estimate> value(const std::string& key) const;
  Estimate score() const;    // normalised decoding accuracy, per cent
  Estimate seconds() const;  // of merging
};

// A method with one choice of everything but P: a line of a table, a line of a chart.
struct MergeRow {
  std::vector<MergeSetting> settings;  // never empty; by P, those without one first

  const MergeOutcome& any() const { return settings.front().any(); }
  // What was found with that many points; null where nothing was.
  const MergeSetting* at(std::optional<std::int64_t> points) const;
  // The method: "COIN, then refit of the last layer".
  std::string method() const;
  // Fisher kind, data and damping: "Gaussian, own"; "" where the method looks at none of these.
  std::string fisher() const;
  // The method, and whatever of these is not usual: "COIN (classification, union)".
  std::string name() const;
};

// The merges of the same models, up to the seed.
struct MergePlace {
  std::string title;                             // "MNIST and Fashion-MNIST, ResNet-18, n = 2, ..."
  std::vector<MergeRow> rows;                    // in the order of tables; never empty
  std::set<std::optional<std::int64_t>> points;  // of all rows; without comes first

  const MergeOutcome& any() const { return rows.front().any(); }
  // The row that stands for a method where there is room for one: by the Fisher kind, data and
  // damping that were published for COIN and by equal weights, or else its first; null where it has
  // none.
  const MergeRow* usual(const std::string& method) const;
  bool has_other_weights() const;  // than 1/n each
};
std::vector<MergePlace> merge_places(const Experiment& experiment);

// What `a` is above `b` in normalised decoding accuracy, over the seeds that both have; empty where
// they share none.
std::optional<Estimate> difference(const MergeSetting& a, const MergeSetting& b);

// As people write them.
std::string written_place(const MergeOutcome& merge);            // the title of its MergePlace
std::string written_points(std::optional<std::int64_t> points);  // "P = 1,000"; "no points"
std::string written_method(
    const std::string& method);  // "rebasin+coin" → "Git Re-Basin, then COIN"
std::string written_fisher(const std::string& kind);  // "gaussian" → "Gaussian"
int fisher_rank(const std::string& kind);
std::string written_weights(const MergeOutcome& merge);  // "0.3, 0.7"; "" where it is not known
// Where a method stands in the order of tables: simple ones, then chains.
std::vector<int> method_rank(const std::string& method);

}  // namespace understudy::report
