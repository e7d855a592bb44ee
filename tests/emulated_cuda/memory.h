// The emulated device's memory: a range of addresses that nobody may touch but its work.
#pragma once

#include <cstddef>

namespace emulated {

// Null when there is no room. Fresh memory is full of 0xFF bytes: NaN, and impossible indices.
void* take_memory(std::size_t bytes);
// False for an address that no block begins at. Ends the program when the bytes around the block
// were written to.
bool give_memory_back(void* memory);
void limit_memory(std::size_t bytes);
std::size_t memory_taken();
std::size_t memory_limit();
bool owns(const void* memory, std::size_t bytes);

// Device memory can be touched while one exists.
class OpenMemory {
 public:
  OpenMemory();
  ~OpenMemory();
  OpenMemory(const OpenMemory&) = delete;
  OpenMemory& operator=(const OpenMemory&) = delete;
};

}  // namespace emulated
