// Memory pools: whose blocks are whose, and when they go back to the device.
#include <doctest/doctest.h>

#include <optional>
#include <thread>

#include "engine/ops.h"
#include "engine/storage.h"
#include "engine/tensor.h"
#include "kernels/op_name.h"
#include "tests/error_text.h"

using namespace understudy;
using understudy::testing::error_text;

namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr bool caches_blocks = false;
#else
constexpr bool caches_blocks = true;
#endif

// No other test has tensors of this size.
constexpr std::int64_t count = 77777;

const void* place(const Tensor& x) { return x.view().data; }
Tensor made() { return Tensor::empty({count}); }
std::int64_t held() { return allocator_statistics({}).bytes_held; }
std::int64_t in_use() { return allocator_statistics({}).bytes_in_use; }

}  // namespace

TEST_SUITE_BEGIN("engine");

TEST_CASE("memory pool: a block returns to where it came from") {
  const MemoryPool pool((Device()));
  const void* of_pool = nullptr;
  {
    const PoolScope scope(pool);
    of_pool = place(made());  // made and dropped inside
    CHECK(place(made()) == of_pool);
  }
  CHECK(place(made()) != of_pool);  // the memory is free, but not for everybody
  Tensor kept;
  {
    const PoolScope scope(pool);
    kept = made();
  }
  CHECK(place(kept) == of_pool);
  kept = Tensor();  // dropped outside
  CHECK(place(made()) != of_pool);
  {
    const Tensor outside = made();
    const void* const elsewhere = place(outside);
    const PoolScope scope(pool);
    CHECK(place(made()) == of_pool);
    Tensor dropped = outside;
    CHECK(elsewhere != of_pool);
  }
}

TEST_CASE("memory pool: blocks from outside do not stay in it") {
  if (!caches_blocks) {
    MESSAGE("[skipped] memory is not cached under AddressSanitizer");
    return;
  }
  const MemoryPool pool((Device()));
  Tensor outside = made();
  const void* const elsewhere = place(outside);
  {
    const PoolScope scope(pool);
    outside = Tensor();
    CHECK(place(made()) != elsewhere);
  }
  CHECK(place(made()) == elsewhere);
}

TEST_CASE("memory pool: scopes nest, and belong to their thread") {
  const MemoryPool outer((Device())), inner((Device()));
  const PoolScope a(outer);
  const void* const of_outer = place(made());
  {
    const PoolScope b(inner);
    CHECK(place(made()) != of_outer);
  }
  CHECK(place(made()) == of_outer);
  const void* of_thread = nullptr;
  std::thread([&] { of_thread = place(made()); }).join();
  CHECK(of_thread != of_outer);
  // Of another device than the tensor's: as if it were not there.
  const MemoryPool elsewhere({DeviceKind::cuda, 63});
  const PoolScope c(elsewhere);
  CHECK(place(made()) == of_outer);
}

TEST_CASE("memory pool: everything goes back when it and its blocks are gone, and is counted") {
  const std::int64_t held_before = held(), used_before = in_use();
  constexpr std::int64_t block = 4 * count;
  auto pool = std::make_optional<MemoryPool>(Device());
  Tensor first, second;
  {
    const PoolScope scope(*pool);
    first = made();
    second = made();
  }
  CHECK(in_use() - used_before >= 2 * block);
  CHECK(held() - held_before >= 2 * block);
  second = Tensor();
  CHECK(in_use() - used_before < 2 * block);
  CHECK(held() - held_before >= 2 * block);  // it waits
  release_cached_memory({});
  CHECK(held() - in_use() >= block);  // and is not for everybody to give back
  const std::int64_t waiting = held();
  pool.reset();
  CHECK(held() <= waiting - block);  // what was free
  first.fill_(1);
  CHECK(first.to_vector<float>()[count - 1] == 1);  // outlives its pool
  const std::int64_t last = held();
  first = Tensor();
  CHECK(held() <= last - block);
}

TEST_CASE("memory pool: a device that gave everything says what is held, by whom it was asked") {
  const OpName op("conv2d");
  const std::string text = error_text([] { Storage(Device(), std::size_t{1} << 50); });
  CAPTURE(text);
  CHECK(text.starts_with("[conv2d] out of memory: a block of 1125899906842624 bytes"));
  CHECK(text.find("this process holds") != std::string::npos);
  CHECK(text.find("in use") != std::string::npos);
  CHECK(text.find("of cpu are free; use smaller batches") != std::string::npos);
}

TEST_SUITE_END();
