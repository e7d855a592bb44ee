#include "engine/storage.h"

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <memory>
#include <mutex>

#include "kernels/backend.h"
#include "kernels/check.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1  // clang's name for what gcc defines
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

namespace understudy {
namespace {

// Without a cache every use after release, and past the end, is the sanitizer's to see.
#ifdef __SANITIZE_ADDRESS__
constexpr bool caches_blocks = false;
#else
constexpr bool caches_blocks = true;
#endif

// Sizes are rounded up to four classes per power of two, from 64 bytes: at most
// a quarter is wasted.
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
    const auto held = static_cast<std::int64_t>(size.bytes);
    std::lock_guard lock(mutex_);
    auto& blocks = free_[static_cast<std::size_t>(size.index)];
    void* block = nullptr;
    if (!blocks.empty()) {
      block = blocks.back();
      blocks.pop_back();
    } else {
      block = allocate_on_device(size.bytes);
      if (!caches_blocks && device_ == Device{})
        ASAN_POISON_MEMORY_REGION(static_cast<std::byte*>(block) + bytes, size.bytes - bytes);
      statistics_.bytes_held += held;
      ++statistics_.device_allocations;
    }
    statistics_.bytes_in_use += held;
    statistics_.peak_bytes_in_use =
        std::max(statistics_.peak_bytes_in_use, statistics_.bytes_in_use);
    return block;
  }

  void release(void* memory, std::size_t bytes) noexcept {
    const SizeClass size = size_class(bytes);
    std::lock_guard lock(mutex_);
    statistics_.bytes_in_use -= static_cast<std::int64_t>(size.bytes);
    if (caches_blocks) {
      try {
        return free_[static_cast<std::size_t>(size.index)].push_back(memory);
      } catch (const std::bad_alloc&) {  // no room to remember it
      }
    }
    statistics_.bytes_held -= static_cast<std::int64_t>(size.bytes);
    backend(device_).release(memory, size.bytes);
  }

  void release_cached() {
    std::lock_guard lock(mutex_);
    release_all();
  }

  AllocatorStatistics statistics() {
    std::lock_guard lock(mutex_);
    return statistics_;
  }

  void restart_peak() {
    std::lock_guard lock(mutex_);
    statistics_.peak_bytes_in_use = statistics_.bytes_in_use;
  }

 private:
  // What waits in other size classes may be what is missing.
  void* allocate_on_device(std::size_t bytes) {
    try {
      return backend(device_).allocate(bytes);
    } catch (const Error&) {
      if (!release_all()) throw;
    }
    return backend(device_).allocate(bytes);
  }

  // True when there was something to give back.
  bool release_all() {
    const std::int64_t before = statistics_.bytes_held;
    for (std::size_t i = 0; i < free_.size(); ++i) {
      for (void* block : free_[i]) backend(device_).release(block, bytes_of(i));
      statistics_.bytes_held -= static_cast<std::int64_t>(free_[i].size() * bytes_of(i));
      free_[i].clear();
    }
    return statistics_.bytes_held < before;
  }

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
void restart_allocator_peak(Device device) { allocator(device).restart_peak(); }
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
