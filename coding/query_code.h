// A code over queries: k inputs of one model are joined by r parity inputs, so that the answers of
// workers that do not answer can be reconstructed from those of the others.
//
// G groups, k data units, r parity units, images (H, W, C), `classes` logits.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "coding/erasures.h"
#include "datasets/dataset.h"
#include "engine/nn/module.h"
#include "engine/tensor.h"

namespace understudy {

class QueryCode {
 public:
  explicit QueryCode(const CodeShape& shape);  // UsageError for an impossible one
  virtual ~QueryCode() = default;

  virtual std::string name() const = 0;
  const CodeShape& shape() const { return shape_; }
  // Missing answers of a group that the code can deal with, whichever they are.
  virtual int most_losses() const { return shape_.r; }

  // False where a reconstruction is the same whatever else is missing, so that one missing answer
  // shows as much as more do.
  virtual bool pattern_matters() const { return true; }

  // ---- encoding ----
  // groups (G, k, H, W, C) → parities (G, r, H, W, C).
  Tensor encode(const Tensor& groups);
  // What the k + r workers are asked, (G, k+r, H, W, C): the groups themselves, then their
  // parities. A code that is not systematic replaces them all.
  virtual Tensor queries(const Tensor& groups);
  // Whether the first k queries are the data as they are, so that nothing is lost
  // when nobody is late.
  virtual bool systematic() const { return true; }
  // The network that answers parity unit `m` in place of the base model; null for the base model.
  virtual Module* parity_model(int m);

  // ---- decoding ----
  // outputs (G, k+r, classes) → the data outputs (G, k, classes). Rows of missing answers become
  // zeros before anything else, so that whatever stands there, NaN too, goes nowhere. Only the rows
  // of missing data units are reconstructions; what stands in the others is the code's business:
  // see complete().
  Tensor decode(const Tensor& outputs, const Erasures& erasures);
  // decode() with the answers that did arrive in the rows of the units that are not missing. For
  // systematic codes; the others' decode() is complete already.
  Tensor complete(const Tensor& outputs, const Erasures& erasures);
  // complete() for a service, which refuses nothing: an answer with a NaN or an infinity in it
  // counts as missing, too, and where a group then misses more than most_losses() the rows that
  // would be reconstructions are NaN, which says "cannot recover". missing: a pattern per group.
  Tensor answer(const Tensor& outputs, const std::vector<ErasurePattern>& missing);

  // ---- choosing and explaining ----
  // Settles what the code leaves open (a smoothing parameter, say) by trying it on images that are
  // not test images: those of `dataset` at `index`, of which base_outputs (N, classes) are the
  // answers. Most codes leave nothing open.
  virtual void tune(Module& base, const Dataset& dataset, const Tensor& base_outputs,
                    const std::vector<std::int64_t>& index);
  // What there is to know of this code before it is used, in lines for people: its matrices and how
  // far they amplify errors. "" where there is nothing.
  virtual std::string explain();

  // ---- cost: multiply-adds for one group ----
  virtual std::int64_t encode_multiply_adds(const Shape& image) const = 0;  // image: (H, W, C)
  virtual std::int64_t decode_multiply_adds(std::int64_t classes) const = 0;

 protected:
  virtual Tensor encode_groups(const Tensor& groups) = 0;
  // `outputs` has zeros where an answer is missing.
  virtual Tensor decode_outputs(const Tensor& outputs, const Erasures& erasures) = 0;

 private:
  CodeShape shape_;
};

// The answers of all workers, (G, k+r, classes), when none is missing. `data_outputs` (G, k,
// classes): the base model's answers to the data units where they are known already (a systematic
// code asks it the parities alone then); undefined otherwise. Gradients flow back to the encoder.
Tensor ask_workers(QueryCode& code, Module& base, const Tensor& groups,
                   const Tensor& data_outputs = {});

}  // namespace understudy
