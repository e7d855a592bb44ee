#include "datasets/prefetch.h"

#include "kernels/check.h"

namespace understudy {

Prefetcher::Prefetcher(Loader& loader, std::int64_t workers)
    : loader_(loader),
      next_(loader.batches()),
      ahead_(workers, WorkAhead::slots_for(workers),
             [this](std::int64_t i, std::size_t slot) { loader_.fill(i, batch_in(slot, i)); }) {
  check(loader.device() == Device{}, "[Prefetcher] the data are on {}; it works on the CPU's",
        to_string(loader.device()));
  const std::int64_t whole = loader.size_of(0), last = loader.size_of(loader.batches() - 1);
  for (std::size_t i = 0; i < WorkAhead::slots_for(workers); ++i) {
    const Batch batch = loader.empty_batch(whole);
    buffers_.push_back({batch, first_images(batch, last)});
  }
}

void Prefetcher::start_epoch(std::int64_t epoch, std::int64_t first) {
  check(first >= 0 && first <= loader_.batches(),
        "[Prefetcher] expected a first batch from 0 to {}, found {}", loader_.batches(), first);
  ahead_.stop();
  loader_.start_epoch(epoch);
  next_ = first;
  ahead_.start(first, loader_.batches());
}

const Batch& Prefetcher::next() {
  const std::int64_t i = next_;
  check(i < loader_.batches(), "[Prefetcher] expected fewer calls of next(): no batch is left");
  ++next_;
  return batch_in(ahead_.take(), i);
}

Batch& Prefetcher::batch_in(std::size_t slot, std::int64_t i) {
  return i + 1 == loader_.batches() ? buffers_[slot].last : buffers_[slot].whole;
}

}  // namespace understudy
