// Working memory of a kernel: kept by the thread that calls it and reused, so that a steady step
// takes none from the system.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace understudy::cpu {

// Pieces of one block that grows to the largest use and is then reused. Pieces are 64-byte aligned
// and hold what was in them before.
class Scratch {
 public:
  // The calling thread's. Its workers may use the pieces while the call that took them runs.
  static Scratch& of_thread() {
    thread_local Scratch scratch;
    return scratch;
  }

  // Room for pieces of `bytes` in all; what was taken before is given back. Each piece takes
  // bytes_of(count) of it.
  void reserve(std::size_t bytes) {
    used_ = 0;
    if (bytes <= size_) return;
    block_.reset();
    size_ = 0;
    block_.reset(static_cast<std::byte*>(::operator new(bytes, alignment)));
    size_ = bytes;
  }
  // The next piece; `count` elements that reserve() left room for.
  template <class T>
  T* take(std::int64_t count) {
    T* const piece = reinterpret_cast<T*>(block_.get() + used_);
    used_ += bytes_of<T>(count);
    return piece;
  }
  template <class T>
  static constexpr std::size_t bytes_of(std::int64_t count) {
    return (static_cast<std::size_t>(count) * sizeof(T) + line - 1) / line * line;
  }

 private:
  static constexpr std::size_t line = 64;
  static constexpr std::align_val_t alignment{line};
  struct Free {
    void operator()(std::byte* block) const { ::operator delete(block, alignment); }
  };
  std::unique_ptr<std::byte, Free> block_;
  std::size_t size_ = 0, used_ = 0;
};

}  // namespace understudy::cpu
