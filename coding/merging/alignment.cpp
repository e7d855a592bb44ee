#include "coding/merging/alignment.h"

#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "coding/merging/assignment.h"
#include "engine/autograd.h"
#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {
namespace {

using Tensors = std::map<std::string, Tensor>;

// The tensors that are compared, in double.
Tensors compared(const PermutationSpec& spec, const std::vector<NamedTensor>& state,
                 const char* whose) {
  Tensors all, found;
  for (const NamedTensor& named : state) all.emplace(named.name, named.tensor);
  for (const PermutationGroup& group : spec.groups) {
    std::set<std::string> in_group;
    for (const PermutedAxis& place : group.axes) {
      check(in_group.insert(place.tensor).second,
            "[align] the units of \"{}\" are two axes of \"{}\"; one step cannot move both",
            group.name, place.tensor);
      const auto at = all.find(place.tensor);
      check(at != all.end(), "[align] {} has no \"{}\", which has the units of \"{}\"", whose,
            place.tensor, group.name);
      const Tensor& tensor = at->second;
      check(place.axis < tensor.rank() && tensor.size(place.axis) == group.size,
            "[align] \"{}\" of {} is {}; expected {} at axis {}, the units of \"{}\"", place.tensor,
            whose, to_string(tensor.shape()), group.size, place.axis, group.name);
      if (!place.matched || found.contains(place.tensor)) continue;
      check(std::isfinite(sum(abs(cast(tensor, DType::f64))).item()),
            "[align] \"{}\" of {} has values that are not finite", place.tensor, whose);
      found[place.tensor] = contiguous(cast(tensor.detach(), DType::f64));
    }
  }
  return found;
}

double inner_product(const Tensors& a, const Tensors& b) {
  double total = 0;
  for (const auto& [name, tensor] : a) total += sum(tensor * b.at(name)).item();
  return total;
}

// (n, rest): what `axis` has of each unit.
Tensor rows_of_units(const Tensor& x, int axis) {
  std::vector<int> axes = {axis};
  for (int other = 0; other < x.rank(); ++other)
    if (other != axis) axes.push_back(other);
  return reshape(contiguous(permute(x, axes)), {x.size(axis), -1});
}

// (n, n), row by row: what the similarity gains from unit j of B in place i of A, all other groups
// held.
std::vector<double> scores(const PermutationGroup& group, const Tensors& a, const Tensors& b) {
  Tensor total;
  for (const PermutedAxis& place : group.axes) {
    if (!place.matched) continue;
    const Tensor part = matmul(rows_of_units(a.at(place.tensor), place.axis),
                               transpose(rows_of_units(b.at(place.tensor), place.axis)));
    total = total.defined() ? total + part : part;
  }
  check(total.defined(), "[align] nothing to compare of the units of \"{}\"", group.name);
  return total.to_vector<double>();
}

// Σ_i scores[i, order[i]] - scores[i, i]
double gain_of(const std::vector<double>& scores, const std::vector<std::int64_t>& order) {
  const std::size_t n = order.size();
  double gain = 0;
  for (std::size_t i = 0; i < n; ++i)
    gain += scores[i * n + static_cast<std::size_t>(order[i])] - scores[i * n + i];
  return gain;
}

}  // namespace

Alignment match_units(const PermutationSpec& spec, const std::vector<NamedTensor>& reference,
                      const std::vector<NamedTensor>& state, Generator& generator,
                      const AlignmentOptions& options) {
  const NoGradGuard no_grad;
  const Tensors a = compared(spec, reference, "the reference");
  Tensors b = compared(spec, state, "the network to align");  // permuted as found so far
  for (const auto& [name, tensor] : a)
    check(tensor.shape() == b.at(name).shape(),
          "[align] \"{}\" is {} in the reference and {} in the network to align", name,
          to_string(tensor.shape()), to_string(b.at(name).shape()));

  Alignment found{.permutations = identity_permutations(spec), .before = inner_product(a, b)};
  for (bool moved = true; moved && found.sweeps < options.most_sweeps; ++found.sweeps) {
    moved = false;
    for (const std::int64_t g : generator.permutation(std::ssize(spec.groups))) {
      const PermutationGroup& group = spec.groups[static_cast<std::size_t>(g)];
      const std::vector<double> gains = scores(group, a, b);
      const std::vector<std::int64_t> order = best_assignment(gains, group.size);
      if (!(gain_of(gains, order) > options.least_gain)) continue;
      moved = true;
      for (const PermutedAxis& place : group.axes)
        if (place.matched) b[place.tensor] = permuted(b[place.tensor], place.axis, order);
      std::vector<std::int64_t>& units = found.permutations[static_cast<std::size_t>(g)];
      const std::vector<std::int64_t> before = units;
      for (std::size_t i = 0; i < units.size(); ++i)
        units[i] = before[static_cast<std::size_t>(order[i])];
    }
  }
  found.after = inner_product(a, b);
  const double lengths = std::sqrt(inner_product(a, a) * inner_product(b, b));
  if (lengths > 0) {
    found.cosine_before = found.before / lengths;
    found.cosine_after = found.after / lengths;
  }
  return found;
}

std::vector<NamedTensor> align(const PermutationSpec& spec,
                               const std::vector<NamedTensor>& reference,
                               const std::vector<NamedTensor>& state, Generator& generator,
                               Alignment* found) {
  Alignment alignment = match_units(spec, reference, state, generator);
  std::vector<NamedTensor> aligned = permuted(spec, alignment.permutations, state);
  if (found) *found = std::move(alignment);
  return aligned;
}

}  // namespace understudy
