#include "memory.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

namespace emulated {
namespace {

constexpr std::size_t range = std::size_t{4} << 30;  // of addresses, not of memory
// Opening and closing all memory costs by the page, and is done for each piece of work.
constexpr std::size_t page = std::size_t{2} << 20;
constexpr std::size_t alignment = 256;
constexpr std::size_t band = 256;  // at least so much between two blocks
constexpr unsigned char band_byte = 0xA5;

struct Block {
  std::size_t bytes;     // as asked for
  std::size_t reserved;  // with the band behind it
};

struct Arena {
  std::recursive_mutex mutex;
  char* base = nullptr;
  std::map<std::size_t, Block> blocks;  // by offset
  std::size_t used_to = 0;              // the highest offset ever used, in whole pages
  std::size_t taken = 0, limit = std::size_t{1} << 30;
  int open = 0;

  Arena() {
    void* memory =
        mmap(nullptr, range + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    const auto first = reinterpret_cast<std::uintptr_t>(memory);
    base = static_cast<char*>(memory) + (page - first % page) % page;
    static_cast<void>(madvise(base, range, MADV_HUGEPAGE));  // where there are any
  }
  void protect(int how) {
    if (used_to > 0 && mprotect(base, used_to, how) != 0) std::abort();
  }
  // Opens pages up to `end` as the others are.
  void use_to(std::size_t end) {
    end = (end + page - 1) / page * page;
    if (end <= used_to) return;
    if (open > 0 && mprotect(base + used_to, end - used_to, PROT_READ | PROT_WRITE) != 0)
      std::abort();
    used_to = end;
  }
};

Arena& arena() {
  static auto* arena = new Arena;  // never destroyed: tensors may outlive everything
  return *arena;
}

// The first gap of `bytes` behind the first band.
std::size_t find_gap(const Arena& arena, std::size_t bytes) {
  std::size_t at = alignment;
  for (const auto& [offset, block] : arena.blocks) {
    if (offset - at >= bytes) return at;
    at = offset + block.reserved;
  }
  return at;
}

}  // namespace

OpenMemory::OpenMemory() {
  arena().mutex.lock();
  if (arena().open++ == 0) arena().protect(PROT_READ | PROT_WRITE);
}
OpenMemory::~OpenMemory() {
  if (--arena().open == 0) arena().protect(PROT_NONE);
  arena().mutex.unlock();
}

void* take_memory(std::size_t bytes) {
  Arena& a = arena();
  const std::scoped_lock lock(a.mutex);
  if (bytes > a.limit || a.taken + bytes > a.limit) return nullptr;
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  const std::size_t reserved = rounded + band;
  const std::size_t offset = find_gap(a, reserved);
  if (offset + reserved > range) return nullptr;
  a.use_to(offset + reserved);
  const OpenMemory open;
  ASAN_UNPOISON_MEMORY_REGION(a.base + offset, reserved);
  std::memset(a.base + offset, 0xFF, bytes);
  std::memset(a.base + offset + bytes, band_byte, reserved - bytes);
  ASAN_POISON_MEMORY_REGION(a.base + offset + bytes, reserved - bytes);
  a.blocks[offset] = {bytes, reserved};
  a.taken += bytes;
  return a.base + offset;
}

bool give_memory_back(void* memory) {
  Arena& a = arena();
  const std::scoped_lock lock(a.mutex);
  const auto found = a.blocks.find(static_cast<std::size_t>(static_cast<char*>(memory) - a.base));
  if (found == a.blocks.end()) return false;
  const auto& [offset, block] = *found;
  {
    const OpenMemory open;
    ASAN_UNPOISON_MEMORY_REGION(a.base + offset, block.reserved);
    for (std::size_t i = block.bytes; i < block.reserved; ++i)
      if (static_cast<unsigned char>(a.base[offset + i]) != band_byte) {
        std::fprintf(stderr, "emulated GPU: byte %zu of a block of %zu was written to\n", i,
                     block.bytes);
        std::abort();
      }
    std::memset(a.base + offset, 0xFF, block.reserved);
    ASAN_POISON_MEMORY_REGION(a.base + offset, block.reserved);
  }
  a.taken -= block.bytes;
  a.blocks.erase(found);
  return true;
}

void limit_memory(std::size_t bytes) { arena().limit = bytes; }
std::size_t memory_taken() { return arena().taken; }
std::size_t memory_limit() { return arena().limit; }

bool owns(const void* memory, std::size_t bytes) {
  Arena& a = arena();
  const std::scoped_lock lock(a.mutex);
  const auto at = reinterpret_cast<std::uintptr_t>(memory);
  const auto base = reinterpret_cast<std::uintptr_t>(a.base);
  if (at < base || at - base >= range) return false;
  auto after = a.blocks.upper_bound(at - base);
  if (after == a.blocks.begin()) return false;
  const auto& [offset, block] = *--after;
  return at - base + bytes <= offset + block.bytes;
}

}  // namespace emulated
