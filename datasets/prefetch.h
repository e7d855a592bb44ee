// The batches of an epoch, prepared by worker threads ahead of the step that needs them.
#pragma once

#include <cstdint>
#include <vector>

#include "datasets/loader.h"
#include "datasets/work_ahead.h"

namespace understudy {

// The same batches as loader.batch(0), batch(1), ..., whatever the number of workers. All memory is
// taken when it is made: an epoch takes none.
class Prefetcher {
 public:
  // `loader` is borrowed, and belongs to the prefetcher until that is gone. 0 workers: next()
  // prepares its batch itself. UsageError unless 0 <= workers <= 1024; Error for data elsewhere than
  // in host memory.
  explicit Prefetcher(Loader& loader, std::int64_t workers = 1);

  // Begins with batch `first` of the epoch, and drops what was prepared of another.
  void start_epoch(std::int64_t epoch, std::int64_t first = 0);
  // The next batch. Its tensors are filled with another batch after the next call of next() or
  // start_epoch(): copy what must last longer. Throws what preparing it threw; Error at the end of
  // the epoch.
  const Batch& next();

 private:
  // The memory of a batch, and the same cut to the length of the epoch's last one.
  struct Buffer {
    Batch whole, last;
  };
  Batch& batch_in(std::size_t slot, std::int64_t i);

  Loader& loader_;
  std::int64_t next_;  // as many as there are where no epoch has begun
  std::vector<Buffer> buffers_;
  WorkAhead ahead_;  // last: its threads end before the buffers go
};

}  // namespace understudy
