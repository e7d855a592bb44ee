// Memory behind tensors: reference-counted blocks from a caching allocator.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>
#include <vector>

#include "kernels/device.h"

namespace understudy {

struct AllocatorStatistics {
  std::int64_t bytes_in_use = 0;        // handed out now
  std::int64_t peak_bytes_in_use = 0;   // the most at any time since the last restart
  std::int64_t bytes_held = 0;          // taken from the device, in use or cached
  std::int64_t device_allocations = 0;  // calls that reached the device: constant in a steady step
};
AllocatorStatistics allocator_statistics(Device device);
// The peak counts from now on: what a piece of work takes.
void restart_allocator_peak(Device device);

// Blocks are kept by size class when freed and handed out again, so that a steady training step
// allocates nothing. Thread-safe. Sanitizer builds go to the device every time.
void* cached_allocate(Device device, std::size_t bytes);
void cached_release(Device device, void* memory, std::size_t bytes) noexcept;
// Gives every cached block of the device back.
void release_cached_memory(Device device);

// Host objects that live for one step (graph nodes, gradient lists) come from the same cache.
template <class T>
struct PoolAllocator {
  using value_type = T;
  PoolAllocator() = default;
  template <class U>
  PoolAllocator(const PoolAllocator<U>&) {}
  T* allocate(std::size_t n) { return static_cast<T*>(cached_allocate({}, n * sizeof(T))); }
  void deallocate(T* p, std::size_t n) noexcept { cached_release({}, p, n * sizeof(T)); }
  friend bool operator==(const PoolAllocator&, const PoolAllocator&) { return true; }
};
template <class T>
using PoolVector = std::vector<T, PoolAllocator<T>>;

// Base of reference-counted objects; allocated from the cache.
class RefCounted {
 public:
  RefCounted() = default;
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;
  virtual ~RefCounted() = default;
  static void* operator new(std::size_t bytes) { return cached_allocate({}, bytes); }
  static void operator delete(void* p, std::size_t bytes) noexcept { cached_release({}, p, bytes); }

 private:
  template <class T>
  friend class Ref;
  std::atomic<std::int32_t> references_{0};
};

// An intrusive shared pointer. T may be incomplete where a Ref is only copied or destroyed.
template <class T>
class Ref {
 public:
  Ref() = default;
  explicit Ref(T* object) : object_(object) { retain(); }
  Ref(const Ref& other) : object_(other.object_) { retain(); }
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_ && object_->references_.fetch_sub(1, std::memory_order_acq_rel) == 1)
      delete object_;
  }
  T* get() const { return static_cast<T*>(object_); }
  T* operator->() const { return get(); }
  T& operator*() const { return *get(); }
  explicit operator bool() const { return object_ != nullptr; }
  // True when nobody else can see the object.
  bool unique() const {
    return object_ && object_->references_.load(std::memory_order_acquire) == 1;
  }

 private:
  void retain() {
    if (object_) object_->references_.fetch_add(1, std::memory_order_relaxed);
  }
  RefCounted* object_ = nullptr;
};

// Memory of a device apart from everyone else's: what was taken from it returns to it, whoever drops
// it, and is handed out again to those alone who ask under a PoolScope of it. Work that is recorded
// needs that, because each of its runs writes wherever the recording did, also to blocks that were
// free again when it ended. A block may outlive its pool; then it goes back to the device when it is
// dropped, as the free ones do at the pool's end. Counted in allocator_statistics.
struct PoolBlocks;
class MemoryPool {
 public:
  explicit MemoryPool(Device device);
  ~MemoryPool();
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

 private:
  friend class PoolScope;
  Ref<PoolBlocks> blocks_;
};

// In its scope the tensors that this thread makes on the pool's device come from the pool.
class PoolScope {
 public:
  explicit PoolScope(const MemoryPool& pool);
  ~PoolScope();
  PoolScope(const PoolScope&) = delete;
  PoolScope& operator=(const PoolScope&) = delete;

  // Of this thread's newest scope for `device`; null where there is none.
  static Ref<PoolBlocks> blocks_for(Device device);

 private:
  Ref<PoolBlocks> blocks_;
  const PoolScope* before_;
};

// One block of device memory. `version` counts in-place changes, so that autograd can refuse a
// gradient whose saved values are gone.
class Storage : public RefCounted {
 public:
  Storage(Device device, std::size_t bytes);
  ~Storage() override;
  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  Device device() const { return device_; }
  std::uint32_t version() const { return version_.load(std::memory_order_relaxed); }
  void bump_version() { version_.fetch_add(1, std::memory_order_relaxed); }

 private:
  Device device_;
  std::size_t bytes_;
  Ref<PoolBlocks> pool_;  // where it came from; null for the cache that all share
  void* data_;
  std::atomic<std::uint32_t> version_{0};
};

}  // namespace understudy
