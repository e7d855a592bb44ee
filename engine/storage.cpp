#include "engine/storage.h"

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "kernels/backend.h"
#include "kernels/check.h"
#include "kernels/op_name.h"

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

// Blocks that wait to be handed out again, one list per size class. The lists are on the host,
// whatever the device.
class FreeBlocks {
 public:
  // Null when there is none.
  void* take(const SizeClass& size) {
    auto& blocks = lists_[static_cast<std::size_t>(size.index)];
    if (blocks.empty()) return nullptr;
    void* const block = blocks.back();
    blocks.pop_back();
    return block;
  }
  // False when there is no room to remember it.
  bool keep(const SizeClass& size, void* block) noexcept {
    try {
      lists_[static_cast<std::size_t>(size.index)].push_back(block);
      return true;
    } catch (const std::bad_alloc&) {
      return false;
    }
  }
  // Gives all back to the device; how many bytes that were.
  std::int64_t release(Device device) noexcept {
    std::int64_t bytes = 0;
    for (std::size_t i = 0; i < lists_.size(); ++i) {
      for (void* block : lists_[i]) backend(device).release(block, bytes_of(i));
      bytes += static_cast<std::int64_t>(lists_[i].size() * bytes_of(i));
      lists_[i].clear();
    }
    return bytes;
  }

 private:
  static std::size_t bytes_of(std::size_t index) {
    if (index == 0) return 64;
    const std::size_t octave = 6 + (index - 1) / 4;
    const std::size_t steps = (index - 1) % 4 + 1;
    return (std::size_t{1} << octave) + steps * (std::size_t{1} << (octave - 2));
  }

  std::array<std::vector<void*>, 4 * 48> lists_;
};

}  // namespace

struct PoolBlocks : RefCounted {
  explicit PoolBlocks(Device d) : device(d) {}
  const Device device;
  // Guarded by the device's allocator.
  bool open = true;  // the MemoryPool is there
  FreeBlocks free;
};

namespace {

// `pool` is null for the cache that all share.
class CachingAllocator {
 public:
  explicit CachingAllocator(Device device) : device_(device) {}

  void* allocate(std::size_t bytes, PoolBlocks* pool) {
    const SizeClass size = size_class(bytes);
    const auto held = static_cast<std::int64_t>(size.bytes);
    std::lock_guard lock(mutex_);
    void* block = (pool ? pool->free : free_).take(size);
    if (!block) {
      block = allocate_on_device(size.bytes);
      if (!caches_blocks && !pool && device_ == Device{})
        ASAN_POISON_MEMORY_REGION(static_cast<std::byte*>(block) + bytes, size.bytes - bytes);
      statistics_.bytes_held += held;
      ++statistics_.device_allocations;
    }
    statistics_.bytes_in_use += held;
    statistics_.peak_bytes_in_use =
        std::max(statistics_.peak_bytes_in_use, statistics_.bytes_in_use);
    return block;
  }

  void release(void* memory, std::size_t bytes, PoolBlocks* pool) noexcept {
    const SizeClass size = size_class(bytes);
    std::lock_guard lock(mutex_);
    statistics_.bytes_in_use -= static_cast<std::int64_t>(size.bytes);
    const bool keeps = pool ? pool->open : caches_blocks;
    if (keeps && (pool ? pool->free : free_).keep(size, memory)) return;
    statistics_.bytes_held -= static_cast<std::int64_t>(size.bytes);
    backend(device_).release(memory, size.bytes);
  }

  void release_cached() {
    std::lock_guard lock(mutex_);
    statistics_.bytes_held -= free_.release(device_);
  }

  void close(PoolBlocks& pool) noexcept {
    std::lock_guard lock(mutex_);
    pool.open = false;
    statistics_.bytes_held -= pool.free.release(device_);
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
  // What waits in other size classes may be what is missing. What waits in pools stays there: work
  // that was recorded writes to it.
  void* allocate_on_device(std::size_t bytes) {
    Backend& device = backend(device_);
    try {
      return device.allocate(bytes);
    } catch (const Error&) {
    }
    statistics_.bytes_held -= free_.release(device_);
    try {
      return device.allocate(bytes);
    } catch (const Error& error) {
      fail("{}", with_figures(error.what()));
    }
  }

  // `message` with the op that asked, and what a person needs to know to do something about it.
  std::string with_figures(const std::string& message) const {
    const std::string_view op = OpName::current();
    const std::string start = op.empty() ? message : fmt::format("[{}] {}", op, message);
    const auto gib = [](auto bytes) { return static_cast<double>(bytes) / (1 << 30); };
    try {
      const DeviceMemory memory = backend(device_).memory();
      return fmt::format(
          "{}; this process holds {:.2f} GiB there, {:.2f} GiB of it in use, and {:.2f} GiB of the "
          "{:.2f} GiB of {} are free; use smaller batches, or end what else uses its memory",
          start, gib(statistics_.bytes_held), gib(statistics_.bytes_in_use), gib(memory.free),
          gib(memory.total), to_string(device_));
    } catch (const Error&) {  // it is not the memory that is wrong
      return start;
    }
  }

  Device device_;
  std::mutex mutex_;
  FreeBlocks free_;
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

thread_local const PoolScope* newest_scope = nullptr;

}  // namespace

AllocatorStatistics allocator_statistics(Device device) { return allocator(device).statistics(); }
void restart_allocator_peak(Device device) { allocator(device).restart_peak(); }
void* cached_allocate(Device device, std::size_t bytes) {
  return allocator(device).allocate(bytes, nullptr);
}
void cached_release(Device device, void* memory, std::size_t bytes) noexcept {
  allocator(device).release(memory, bytes, nullptr);
}
void release_cached_memory(Device device) { allocator(device).release_cached(); }

MemoryPool::MemoryPool(Device device) : blocks_(new PoolBlocks(device)) {}
MemoryPool::~MemoryPool() { allocator(blocks_->device).close(*blocks_); }

PoolScope::PoolScope(const MemoryPool& pool) : blocks_(pool.blocks_), before_(newest_scope) {
  newest_scope = this;
}
PoolScope::~PoolScope() { newest_scope = before_; }
Ref<PoolBlocks> PoolScope::blocks_for(Device device) {
  for (const PoolScope* scope = newest_scope; scope; scope = scope->before_)
    if (scope->blocks_->device == device) return scope->blocks_;
  return {};
}

Storage::Storage(Device device, std::size_t bytes)
    : device_(device),
      bytes_(bytes),
      pool_(PoolScope::blocks_for(device)),
      data_(allocator(device).allocate(bytes, pool_.get())) {}
Storage::~Storage() { allocator(device_).release(data_, bytes_, pool_.get()); }

}  // namespace understudy
