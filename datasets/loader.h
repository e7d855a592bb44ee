// Batches of a dataset in an order that depends on (seed, epoch) alone, so that a run can be
// resumed in the middle of an epoch from two numbers.
#pragma once

#include <cstdint>
#include <vector>

#include "datasets/augment.h"
#include "datasets/dataset.h"

namespace understudy {

struct Split {
  std::vector<std::int64_t> train;       // ascending
  std::vector<std::int64_t> validation;  // ascending
};
// Draws `validation` of the indices 0 .. count-1, rounded up to a multiple of `group`, without
// replacement; the rest is `train`. The same seed gives the same split. UsageError when there are
// fewer than that.
Split split_indices(std::int64_t count, std::int64_t validation, std::uint64_t seed,
                    std::int64_t group = 1);

struct Batch {
  Tensor images;     // float (B, H, W, C), placed and normalised
  Tensor labels;     // i64 (B)
  Tensor index;      // i64 (B): positions in the dataset, e.g. to look up cached base-model outputs
  Tensor placement;  // i32 (B, 3), see gather_images; undefined without augmentation
};
// The same memory, cut to so many images.
Batch first_images(const Batch& batch, std::int64_t count);

struct LoaderOptions {
  std::int64_t batch_size = 64;  // images; a multiple of `group`
  bool shuffle = true;
  bool drop_last = false;  // drop the last batch when it is short
  std::int64_t group = 1;  // k: whole groups only; leftover images that fill no group are dropped
  std::uint64_t seed = 0;
  Augmentation augmentation = {};
};

// Images g·k .. g·k+k-1 of an epoch's order are its group g, so groups are consecutive images
// without shuffling and fresh random ones in each epoch with it.
class Loader {
 public:
  // `dataset` is borrowed and must outlive the loader; batches are on its device. `index`: the part
  // of it to use; empty = all. Starts epoch 0. UsageError for options that leave no batch; Error for
  // data that are not dense.
  Loader(const Dataset& dataset, const LoaderOptions& options,
         std::vector<std::int64_t> index = {});
  Loader(Dataset&&, const LoaderOptions&, std::vector<std::int64_t> = {}) = delete;

  std::int64_t batches() const;  // per epoch
  // Fixes the order: the permutation that a Generator of (seed, Stream::shuffling) draws from
  // position epoch·2³² on. No earlier epoch needs to have been run.
  void start_epoch(std::int64_t epoch);
  Batch batch(std::int64_t i) const;           // the i-th of the current epoch
  std::int64_t size_of(std::int64_t i) const;  // its images

  // The same in two steps, for whoever fills the same memory again and again: tensors of `count`
  // images with any elements, and the i-th batch written into them. Threads may fill different
  // batches at once.
  Batch empty_batch(std::int64_t count) const;
  void fill(std::int64_t i, Batch& batch) const;
  // The two halves of fill(): which images a batch has, `index` and `placement`; and what they are,
  // `images` and `labels`, which reads those two where the data are, and so can be recorded
  // (engine/repeated_step.h).
  void choose(std::int64_t i, Batch& batch) const;
  void gather(Batch& batch) const;
  Device device() const { return dataset_.images.device(); }
  std::int64_t epoch() const { return epoch_; }

 private:
  std::int64_t usable() const;  // images of an epoch: whole groups, and whole batches when asked

  const Dataset& dataset_;
  LoaderOptions options_;
  std::vector<std::int64_t> index_;
  std::vector<std::int64_t> order_;
  std::int64_t epoch_ = 0;
};

}  // namespace understudy
