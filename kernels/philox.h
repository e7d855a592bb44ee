// Philox4x32-10, a counter-based random generator (Salmon et al., "Parallel random numbers: as easy
// as 1, 2, 3", SC 2011). The i-th block of four words depends on the key and on i alone, so every
// backend and every number of threads draws the same numbers.
#pragma once

#include <cstdint>

#include "kernels/host_device.h"

namespace understudy {

struct PhiloxKey {
  std::uint64_t seed = 0;    // the run's seed
  std::uint64_t stream = 0;  // one stream per purpose: initialisation, shuffling, augmentation ...
};

struct PhiloxBlock {
  std::uint32_t word[4];
};

UNDERSTUDY_HD PhiloxBlock philox(PhiloxKey key, std::uint64_t counter) {
  std::uint32_t c0 = static_cast<std::uint32_t>(counter);
  std::uint32_t c1 = static_cast<std::uint32_t>(counter >> 32);
  std::uint32_t c2 = static_cast<std::uint32_t>(key.stream);
  std::uint32_t c3 = static_cast<std::uint32_t>(key.stream >> 32);
  std::uint32_t k0 = static_cast<std::uint32_t>(key.seed);
  std::uint32_t k1 = static_cast<std::uint32_t>(key.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c0;
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c2;
    c0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<std::uint32_t>(p1);
    c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<std::uint32_t>(p0);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// [0, 1) with 24 random bits, exact in float.
UNDERSTUDY_HD float unit_float(std::uint32_t word) { return (word >> 8) * (1.0f / 16777216.0f); }

// [0, 1) with 53 random bits.
UNDERSTUDY_HD double unit_double(std::uint32_t high, std::uint32_t low) {
  const std::uint64_t bits = (std::uint64_t{high} << 32 | low) >> 11;
  return static_cast<double>(bits) * (1.0 / 9007199254740992.0);
}

}  // namespace understudy
