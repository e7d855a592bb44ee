// How good a classifier is on labelled images.
#pragma once

#include <cstdint>
#include <vector>

#include "datasets/dataset.h"
#include "engine/nn/module.h"

namespace understudy {

struct Score {
  double loss = 0;      // mean cross-entropy, in nats
  double accuracy = 0;  // in [0, 1]
};

// Over the images at `index`, or all of them when it is empty; in evaluation mode, nothing recorded.
// Model and images are on one device, which is read from once, in the end.
Score evaluate(Module& model, const Dataset& dataset, const std::vector<std::int64_t>& index = {});

// How many rows of `logits` f32 (N, C) have their largest value at `labels` i64 (N): f64 (), on their
// device. A row with a NaN answers nothing, and is not correct. No gradient.
Tensor correct_answers(const Tensor& logits, const Tensor& labels);

}  // namespace understudy
