// The settings of an experiment: its outcomes put together over seeds, named and put in order.
#pragma once

#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "tools/report/estimate.h"
#include "tools/report/experiment.h"

namespace understudy::report {

// Outcomes that differ in nothing but the seed.
struct Setting {
  std::vector<const Outcome*> seeds;  // never empty; of the experiment, which outlives this

  const Outcome& any() const { return *seeds.front(); }
  // Over the seeds that have the value; empty when none has.
  std::optional<Estimate> value(const std::string& key) const;
  // Extra machines in per cent: as recorded, or else 100·r/k.
  double extra_machines() const;
  // Multiply-adds of encoding a group over those of one answer of the base model; empty when one of
  // the two is not known.
  std::optional<double> arithmetic() const;
  // What was cut and what went wrong: "width 16, 60 of 500 epochs"; "" when there is nothing to say.
  std::string remark() const;
};

// In the order of tables: data set, base model, k, r, code.
std::vector<Setting> settings_of(const Experiment& experiment);

// Which of two settings of one cell a table shows: the one that was cut less.
bool shown_before(const Setting& a, const Setting& b);

// The settings of an experiment that share a data set and a base model.
struct Place {
  std::string title;  // "MNIST, Base-MLP"
  std::vector<Setting> settings;
};
std::vector<Place> places_of(const Experiment& experiment);
// One setting for each code, k and r: the one that was cut least, as in the tables.
std::vector<const Setting*> shown_of(const Place& place);

// Where names stand in the order of tables; one that is not known comes last.
int dataset_rank(const std::string& dataset);
int base_rank(const std::string& base);
int code_rank(const std::string& code);
int encoder_rank(const std::string& encoder);
int loss_rank(const std::string& loss);

// As people write them.
std::string written_base(const std::string& base);        // "mlp" → "Base-MLP"
std::string written_encoder(const std::string& encoder);  // "mlp" → "MLPEncoder"
std::string written_loss(const std::string& loss);        // "mse" → "MSE"
// "systematic-berrut" → "systematic Berrut"; a learned code by its encoder, loss and, unless they are
// aligned, channels: "MLPEncoder, MSE".
std::string written_code(const Outcome& outcome);
// For sorting codes; equal for outcomes and figures of one code.
std::tuple<int, int, int, std::string> code_order(const Outcome& outcome);
std::string place_of(const Outcome& outcome);  // "MNIST, Base-MLP"

// A baseline rather than a code: no code, replication.
bool is_baseline(const Outcome& outcome);
// The r that a table shows an outcome under. Replication is recorded with r = copies · k, and is
// shown beside the codes that survive as many losses as it has copies.
int shown_r(const Outcome& outcome);

}  // namespace understudy::report
