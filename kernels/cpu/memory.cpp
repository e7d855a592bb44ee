#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "kernels/check.h"
#include "kernels/cpu/cpu_backend.h"

namespace understudy::cpu {
namespace {

constexpr std::size_t line = 64;
constexpr std::size_t huge_page = std::size_t{2} << 20;

// More than any address space holds: refused here, because a sanitizer's allocator ends the program
// where the C library's returns null.
constexpr std::size_t most = std::size_t{1} << 47;

}  // namespace

DeviceMemory CpuBackend::memory() {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return {static_cast<std::size_t>(sysconf(_SC_AVPHYS_PAGES)) * page,
          static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * page};
}

// Large blocks begin at a huge page and ask for them: weights and activations of a network are then
// reached through few TLB entries.
void* CpuBackend::allocate(std::size_t bytes) {
  const bool large = bytes >= huge_page;
  void* memory = nullptr;
  if (bytes <= most) {
    const std::size_t rounded = std::max((bytes + line - 1) / line * line, line);
    // Not aligned_alloc, whose size must be a multiple of the alignment.
    if (posix_memalign(&memory, large ? huge_page : line, rounded) != 0) memory = nullptr;
  }
  check(memory != nullptr, "out of memory: a block of {} bytes ({:.1f} MiB) cannot be had", bytes,
        static_cast<double>(bytes) / (1 << 20));
  // A hint: a kernel without huge pages refuses it, and nothing else changes.
  if (large) madvise(memory, bytes / huge_page * huge_page, MADV_HUGEPAGE);
  return memory;
}

void CpuBackend::release(void* memory, std::size_t) noexcept { std::free(memory); }

void CpuBackend::to_host(void* host, const void* device, std::size_t bytes) {
  if (bytes != 0) std::memcpy(host, device, bytes);
}

void CpuBackend::from_host(void* device, const void* host, std::size_t bytes) {
  if (bytes != 0) std::memcpy(device, host, bytes);
}

}  // namespace understudy::cpu
