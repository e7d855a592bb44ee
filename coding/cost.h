// What a code costs: machines, arithmetic, time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "coding/query_code.h"
#include "engine/nn/module.h"

namespace understudy {

// Machines beyond the k that answer anyway, per cent: 100·r/k for a code; 100 for each copy of
// replication, which needs one copy for each loss that it is to survive.
double extra_machines_percent(const CodeShape& shape);
double replication_percent(int losses);
// "50.0 % extra machines (1 parity for 2 queries); replication: 100 %"
std::string cost_in_words(const CodeShape& shape);

// Multiply-adds of `model` for one input of shape `input` (H, W, C). Empty when it has a layer with
// parameters of a kind that is not counted here.
std::optional<std::int64_t> multiply_adds(Module& model, const Shape& input);

// Wall-clock microseconds for one group, medians over `repeats` calls after a warm-up.
struct CodeTiming {
  double encode_us = 0, decode_us = 0;                    // one group alone
  double encode_us_in_batch = 0, decode_us_in_batch = 0;  // per group of a batch
  std::int64_t batch = 0;                                 // its groups
};
// On random images (H, W, C) and outputs; one data unit of each group is missing in decoding.
CodeTiming measure_code(QueryCode& code, const Shape& image, std::int64_t classes,
                        std::int64_t batch = 64, int repeats = 51, Device device = {});

}  // namespace understudy
