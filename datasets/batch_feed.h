// The batches of an epoch, where a step of training finds them. On the CPU worker threads prepare them
// ahead of the step. On another device the whole dataset is in its memory, a batch comes there as the
// positions of its images alone, and the step itself gathers them.
#pragma once

#include <cstdint>
#include <optional>

#include "datasets/loader.h"
#include "datasets/prefetch.h"

namespace understudy {

// The same batches as loader.batch(0), batch(1), ..., whatever the device and the workers.
class BatchFeed {
 public:
  // `loader` is borrowed, and belongs to the feed until that is gone. `workers`: of the Prefetcher,
  // on the CPU.
  BatchFeed(Loader& loader, std::int64_t workers);

  // Begins before batch `first` of the epoch.
  void start_epoch(std::int64_t epoch, std::int64_t first = 0);
  // Goes on to the next batch, before the step that needs it. Error at the end of the epoch.
  void advance();
  // Whether it is as large as every batch but an epoch's last one: a step of another shape is
  // another recording (engine/repeated_step.h).
  bool is_whole() const;
  // The batch, in memory that the next advance() fills anew. On a device that is not the CPU this
  // call gathers the images, and belongs to the work that is recorded.
  const Batch& batch();

 private:
  Loader& loader_;
  std::int64_t current_ = 0;
  std::int64_t next_;  // as many as there are where no epoch has begun
  // On the CPU.
  std::optional<Prefetcher> prefetcher_;
  const Batch* prefetched_ = nullptr;
  // Elsewhere: the memory of a batch, and the same cut to the length of the epoch's last one.
  Batch whole_, last_;
};

}  // namespace understudy
