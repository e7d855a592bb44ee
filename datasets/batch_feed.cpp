#include "datasets/batch_feed.h"

#include "kernels/check.h"

namespace understudy {

BatchFeed::BatchFeed(Loader& loader, std::int64_t workers)
    : loader_(loader), next_(loader.batches()) {
  if (loader.device() == Device{}) {
    prefetcher_.emplace(loader, workers);
    return;
  }
  whole_ = loader.empty_batch(loader.size_of(0));
  last_ = first_images(whole_, loader.size_of(loader.batches() - 1));
}

void BatchFeed::start_epoch(std::int64_t epoch, std::int64_t first) {
  check(first >= 0 && first <= loader_.batches(),
        "[BatchFeed] expected a first batch from 0 to {}, found {}", loader_.batches(), first);
  if (prefetcher_)
    prefetcher_->start_epoch(epoch, first);
  else
    loader_.start_epoch(epoch);
  next_ = first;
}

void BatchFeed::advance() {
  check(next_ < loader_.batches(), "[BatchFeed] no batch of the epoch is left");
  current_ = next_++;
  if (prefetcher_)
    prefetched_ = &prefetcher_->next();
  else
    loader_.choose(current_, is_whole() ? whole_ : last_);
}

bool BatchFeed::is_whole() const { return loader_.size_of(current_) == loader_.size_of(0); }

const Batch& BatchFeed::batch() {
  if (prefetcher_) return *prefetched_;
  Batch& batch = is_whole() ? whole_ : last_;
  loader_.gather(batch);
  return batch;
}

}  // namespace understudy
