#include "datasets/loader.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

#include "engine/random.h"
#include "kernels/backend.h"
#include "kernels/check.h"

namespace understudy {

namespace {

template <class... Args>
void require(bool condition, fmt::format_string<Args...> text, Args&&... args) {
  if (!condition) throw UsageError(fmt::format(text, std::forward<Args>(args)...));
}

// What `gather` relies on, beside labels and positions that are in range.
void check_data(const Dataset& dataset) {
  const auto dense = [](const Tensor& x, DType dtype, int rank) {
    return x.defined() && x.dtype() == dtype && x.rank() == rank && x.is_contiguous();
  };
  check(dense(dataset.images, DType::u8, 4) && dense(dataset.labels, DType::i64, 1) &&
            dataset.labels.size(0) == dataset.size() &&
            dataset.labels.device() == dataset.images.device(),
        "[Loader] {}: expected dense uint8 images (N,H,W,C) and int64 labels (N) on one device",
        dataset.name);
  const auto channels = static_cast<std::size_t>(dataset.images.size(3));
  const auto& [mean, std] = dataset.normalization;
  check(mean.size() == channels && std.size() == channels &&
            std::all_of(std.begin(), std.end(), [](float s) { return s > 0; }),
        "[Loader] {}: expected means and positive deviations of {} channels, found {} and {}",
        dataset.name, channels, mean.size(), std.size());
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
  check_data(dataset);
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

std::int64_t Loader::size_of(std::int64_t i) const {
  check(i >= 0 && i < batches(), "[Loader] expected a batch from 0 to {}, found {}", batches() - 1,
        i);
  return std::min(options_.batch_size, usable() - i * options_.batch_size);
}

Batch Loader::batch(std::int64_t i) const {
  Batch batch = empty_batch(size_of(i));
  fill(i, batch);
  return batch;
}

Batch Loader::empty_batch(std::int64_t count) const {
  Shape images = dataset_.images.shape();
  images[0] = count;
  const auto made = [&](const Shape& shape, DType dtype) {
    return Tensor::empty(shape, dtype, device());
  };
  return {made(images, DType::f32), made({count}, DType::i64), made({count}, DType::i64),
          options_.augmentation.any() ? made({count, 3}, DType::i32) : Tensor()};
}

void Loader::choose(std::int64_t i, Batch& batch) const {
  const std::int64_t count = size_of(i), begin = i * options_.batch_size;
  check(batch.index.defined() && batch.index.count() == count,
        "[Loader] batch {} has {} images: expected tensors for as many", i, count);
  const std::span<const std::int64_t> index =
      std::span(order_).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count));
  const auto draw = [&](std::span<std::int32_t> placement) {
    draw_placements(options_.augmentation, options_.seed, epoch_, begin, placement);
  };
  Backend& there = backend(device());
  there.from_host(batch.index.mutable_view().data, index.data(), index.size_bytes());
  if (!options_.augmentation.any()) return;
  if (device() == Device{}) return draw(batch.placement.mutable_data<std::int32_t>());
  std::vector<std::int32_t> placement(static_cast<std::size_t>(3 * count));
  draw(placement);
  there.from_host(batch.placement.mutable_view().data, placement.data(),
                  placement.size() * sizeof(std::int32_t));
}

void Loader::gather(Batch& batch) const {
  const ConstView index = batch.index.view();
  const ConstView placement = batch.placement.defined() ? batch.placement.view() : ConstView();
  Backend& here = backend(device());
  here.gather_rows(batch.labels.mutable_view(), dataset_.labels.view(), index);
  here.gather_images(batch.images.mutable_view(), dataset_.images.view(), index,
                     batch.placement.defined() ? &placement : nullptr, dataset_.normalization.mean,
                     dataset_.normalization.std);
}

void Loader::fill(std::int64_t i, Batch& batch) const {
  choose(i, batch);
  gather(batch);
}

Batch first_images(const Batch& batch, std::int64_t count) {
  const auto rows = [&](const Tensor& x) {
    if (!x.defined()) return x;
    Shape shape = x.shape();
    shape[0] = count;
    return x.alias(shape, x.strides());
  };
  return {rows(batch.images), rows(batch.labels), rows(batch.index), rows(batch.placement)};
}

}  // namespace understudy
