#include "datasets/loader.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

#include "engine/ops.h"
#include "engine/random.h"
#include "kernels/check.h"

namespace understudy {

namespace {

template <class... Args>
void require(bool condition, fmt::format_string<Args...> text, Args&&... args) {
  if (!condition) throw UsageError(fmt::format(text, std::forward<Args>(args)...));
}

}  // namespace

Split split_indices(std::int64_t count, std::int64_t validation, std::uint64_t seed,
                    std::int64_t group) {
  require(group >= 1, "split: expected groups of 1 image or more, found {}", group);
  require(count >= 0 && validation >= 0 && validation <= count,
          "split: expected 0 to {} validation images, found {}", count, validation);
  const std::int64_t rounded = (validation + group - 1) / group * group;
  require(rounded <= count,
          "split: {} validation images in groups of {} make {}, but there are only {}", validation,
          group, rounded, count);
  Generator generator(seed, Stream::split);
  const std::vector<std::int64_t> order = generator.permutation(count);
  Split split;
  split.validation.assign(order.begin(), order.begin() + rounded);
  split.train.assign(order.begin() + rounded, order.end());
  std::sort(split.validation.begin(), split.validation.end());
  std::sort(split.train.begin(), split.train.end());
  return split;
}

Loader::Loader(const Dataset& dataset, const LoaderOptions& options,
               std::vector<std::int64_t> index)
    : dataset_(dataset), options_(options), index_(std::move(index)) {
  const std::int64_t size = dataset.size();
  if (index_.empty()) {
    index_.resize(static_cast<std::size_t>(size));
    std::iota(index_.begin(), index_.end(), std::int64_t{0});
  }
  for (const std::int64_t i : index_)
    require(i >= 0 && i < size, "loader: expected positions 0 to {} of {}, found {}", size - 1,
            dataset.name, i);
  require(options.group >= 1, "loader: expected groups of 1 image or more, found {}",
          options.group);
  require(
      options.batch_size >= 1 && options.batch_size % options.group == 0,
      "loader: expected a batch size that is a positive multiple of the group size {}, found {}",
      options.group, options.batch_size);
  require(usable() > 0, "loader: {} images of {} leave no {} of {}", index_.size(), dataset.name,
          options.drop_last ? "whole batch" : "group",
          options.drop_last ? options.batch_size : options.group);
  start_epoch(0);
}

std::int64_t Loader::usable() const {
  const auto size = static_cast<std::int64_t>(index_.size());
  const std::int64_t unit = options_.drop_last ? options_.batch_size : options_.group;
  return size / unit * unit;
}

std::int64_t Loader::batches() const {
  return (usable() + options_.batch_size - 1) / options_.batch_size;
}

void Loader::start_epoch(std::int64_t epoch) {
  check(epoch >= 0 && epoch < std::int64_t{1} << 31,
        "[Loader] expected an epoch from 0 on, found {}", epoch);
  epoch_ = epoch;
  order_ = index_;
  if (!options_.shuffle) return;
  Generator generator(options_.seed, Stream::shuffling);
  generator.set_position(static_cast<std::uint64_t>(epoch) << 32);
  const auto permutation = generator.permutation(static_cast<std::int64_t>(index_.size()));
  for (std::size_t i = 0; i < order_.size(); ++i)
    order_[i] = index_[static_cast<std::size_t>(permutation[i])];
}

Batch Loader::batch(std::int64_t i) const {
  check(i >= 0 && i < batches(), "[Loader] expected a batch from 0 to {}, found {}", batches() - 1,
        i);
  const std::int64_t begin = i * options_.batch_size;
  const std::int64_t count = std::min(options_.batch_size, usable() - begin);
  const std::span<const std::int64_t> rows(order_.data() + begin, static_cast<std::size_t>(count));
  Batch batch;
  batch.index = Tensor::from(rows, {count}, dataset_.images.device());
  batch.images = images_at(dataset_, batch.index);
  batch.labels = gather_rows(dataset_.labels, batch.index);
  return batch;
}

}  // namespace understudy
