// Checksums of data, as lower-case hexadecimal text.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace understudy {

// SHA-256 of the parts, one after the other.
std::string sha256(std::initializer_list<std::span<const std::uint8_t>> parts);
// For comparison with publishers' lists only; no protection against anyone.
std::string md5(std::initializer_list<std::span<const std::uint8_t>> parts);

}  // namespace understudy
