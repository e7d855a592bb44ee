// Answering for a late model from the coded ones.
#pragma once

#include <vector>

#include "engine/tensor.h"

namespace understudy {

// f̂_j = (f_c − Σ_{i≠j} β_i f_i) / β_j: what model `late` would have answered. coded (N, C) is the
// answer of the one coded model; outputs[i] (N, C) that of model i, outputs[late] is not looked at.
// An error of the coded answer is passed on 1/β_j times as large.
Tensor decode_model(const Tensor& coded, const std::vector<Tensor>& outputs,
                    const std::vector<double>& weights, int late);

// The same for m coded models, f_c = B f with B (m, n), and any set of at most m late ones: the
// least squares solution of B_S f_S = f_c − B_S̄ f_S̄.
struct ModelDecoding {
  std::vector<Tensor> decoded;  // (N, C) each, in the order of `late`
  // 2-norm by which errors of the coded answers can grow: 1/β_j for m = 1.
  double amplification = 0;
  double condition = 0;  // of B_S: largest over smallest singular value
};
// coded[a]: answer of coded model a; weights[a]: row a of B. Error with both numbers when more
// models are late than coded ones answered, and when B cannot tell the late ones apart.
ModelDecoding decode_models(const std::vector<Tensor>& coded, const std::vector<Tensor>& outputs,
                            const std::vector<std::vector<double>>& weights,
                            const std::vector<int>& late);
// UsageError, before any work, for weights (m, n) by which some m of the n models cannot be told
// from m coded ones; it names them, from 1 on.
void check_decodable(const std::vector<std::vector<double>>& weights);

}  // namespace understudy
