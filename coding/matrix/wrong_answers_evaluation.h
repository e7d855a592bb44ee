// What it is worth to look for workers that answer wrongly.
#pragma once

#include <cstdint>

#include "coding/matrix/berrut_code.h"
#include "datasets/dataset.h"
#include "engine/nn/module.h"

namespace understudy {

// Fractions of 1, over groups of consecutive images, nobody missing.
struct WrongAnswersScore {
  std::int64_t groups = 0;
  double found = 0;        // groups of which exactly the workers that lied are left out
  double honest = 0;       // accuracy when nobody lies, and nobody is looked for
  double located = 0;      // accuracy of the code's answers, suspects left out
  double not_located = 0;  // accuracy of the same code without looking for them
};

// In each group code.wrong() workers, drawn by `seed`, answer noise: logits from N(0, s²), where
// s = `size` × the standard deviation of base_outputs (N, classes) = all_outputs(base, dataset).
// Error for a code that looks for nobody.
WrongAnswersScore evaluate_wrong_answers(BerrutCode& code, Module& base, const Dataset& dataset,
                                         const Tensor& base_outputs, double size,
                                         std::uint64_t seed);

}  // namespace understudy
