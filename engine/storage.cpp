#include "engine/storage.h"

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <memory>
#include <mutex>

#include "kernels/backend.h"

#if defined(__SANITIZE_ADDRESS__)
#define UNDERSTUDY_CACHE_BLOCKS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDERSTUDY_CACHE_BLOCKS 0
#endif
#endif
#ifndef UNDERSTUDY_CACHE_BLOCKS
#define UNDERSTUDY_CACHE_BLOCKS 1  // 0: every use after release is the sanitizer's to see
#endif

namespace understudy {
namespace {

// Sizes are rounded up to four classes per power of two, from 64 bytes: at most a quarter is
// wasted.
struct SizeClass {
  int index;
  std::size_t bytes;
};

constexpr SizeClass size_class(std::size_t bytes) {
  if (bytes <= 64) return {0, 64};
  const int octave = std::bit_width(bytes - 1) - 1;  // 2^octave < bytes <= 2^(octave+1)
  const std::size_t quarter = std::size_t{1} << (octave - 2);
  const std::size_t steps = (bytes - (std::size_t{1} << octave) + quarter - 1) / quarter;  // 1..4
  return {(octave - 6) * 4 + static_cast<int>(steps), (std::size_t{1} << octave) + steps * quarter};
}
static_assert(size_class(64).bytes == 64 && size_class(65).index == 1);
static_assert(size_class(128).bytes == 128 && size_class(129).bytes == 160);

// Freed blocks wait in one list per size class. The lists are on the host, whatever the device.
class CachingAllocator {
 public:
  explicit CachingAllocator(Device device) : device_(device) {}

  void* allocate(std::size_t bytes) {
    const SizeClass size = size_class(bytes);
    {
      std::lock_guard lock(mutex_);
      statistics_.bytes_in_use += static_cast<std::int64_t>(size.bytes);
      statistics_.peak_bytes_in_use =
          std::max(statistics_.peak_bytes_in_use, statistics_.bytes_in_use);
      auto& blocks = free_[static_cast<std::size_t>(size.index)];
      if (!blocks.empty()) {
        void* block = blocks.back();
        blocks.pop_back();
        return block;
      }
      statistics_.bytes_held += static_cast<std::int64_t>(size.bytes);
      ++statistics_.device_allocations;
    }
    try {
      return backend(device_).allocate(size.bytes);
    } catch (...) {
      std::lock_guard lock(mutex_);
      statistics_.bytes_in_use -= static_cast<std::int64_t>(size.bytes);
      statistics_.bytes_held -= static_cast<std::int64_t>(size.bytes);
      throw;
    }
  }

  void release(void* memory, std::size_t bytes) noexcept {
    const SizeClass size = size_class(bytes);
    std::lock_guard lock(mutex_);
    statistics_.bytes_in_use -= static_cast<std::int64_t>(size.bytes);
    if (UNDERSTUDY_CACHE_BLOCKS) {
      free_[static_cast<std::size_t>(size.index)].push_back(memory);
    } else {
      statistics_.bytes_held -= static_cast<std::int64_t>(size.bytes);
      backend(device_).release(memory, size.bytes);
    }
  }

  void release_cached() {
    std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < free_.size(); ++i) {
      for (void* block : free_[i]) {
        backend(device_).release(block, bytes_of(i));
        statistics_.bytes_held -= static_cast<std::int64_t>(bytes_of(i));
      }
      free_[i].clear();
    }
  }

  AllocatorStatistics statistics() {
    std::lock_guard lock(mutex_);
    return statistics_;
  }

 private:
  static std::size_t bytes_of(std::size_t index) {
    if (index == 0) return 64;
    const std::size_t octave = 6 + (index - 1) / 4;
    const std::size_t steps = (index - 1) % 4 + 1;
    return (std::size_t{1} << octave) + steps * (std::size_t{1} << (octave - 2));
  }

  Device device_;
  std::mutex mutex_;
  std::array<std::vector<void*>, 4 * 48> free_;
  AllocatorStatistics statistics_;
};

// Never destroyed: tensors in static storage may outlive every other static object.
CachingAllocator& allocator(Device device) {
  if (device == Device{}) {
    static auto* cpu = new CachingAllocator(Device{});
    return *cpu;
  }
  static auto* mutex = new std::mutex;
  static auto* others = new std::map<int, std::unique_ptr<CachingAllocator>>;
  std::lock_guard lock(*mutex);
  auto& entry = (*others)[device.index];
  if (!entry) entry = std::make_unique<CachingAllocator>(device);
  return *entry;
}

}  // namespace

AllocatorStatistics allocator_statistics(Device device) { return allocator(device).statistics(); }
void* cached_allocate(Device device, std::size_t bytes) {
  return allocator(device).allocate(bytes);
}
void cached_release(Device device, void* memory, std::size_t bytes) noexcept {
  allocator(device).release(memory, bytes);
}
void release_cached_memory(Device device) { allocator(device).release_cached(); }

Storage::Storage(Device device, std::size_t bytes)
    : device_(device), bytes_(bytes), data_(cached_allocate(device, bytes)) {}
Storage::~Storage() { cached_release(device_, data_, bytes_); }

}  // namespace understudy
