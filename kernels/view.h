// What kernels see of a tensor: a pointer, an element type, sizes and strides.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace understudy {

enum class DType : std::uint8_t { f32, f64, u8, i32, i64 };

constexpr std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::u8:
      return 1;
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::f64:
    case DType::i64:
      return 8;
  }
  return 0;
}
constexpr bool is_floating(DType dtype) { return dtype == DType::f32 || dtype == DType::f64; }
const char* to_string(DType dtype);  // "float32", "float64", "uint8", "int32", "int64"

template <class T>
struct NoDType;  // never defined: naming it is the compiler's message for an unknown element type
template <class T>
inline constexpr DType dtype_of = NoDType<T>::value;
template <>
inline constexpr DType dtype_of<float> = DType::f32;
template <>
inline constexpr DType dtype_of<double> = DType::f64;
template <>
inline constexpr DType dtype_of<std::uint8_t> = DType::u8;
template <>
inline constexpr DType dtype_of<std::int32_t> = DType::i32;
template <>
inline constexpr DType dtype_of<std::int64_t> = DType::i64;

// A short list of sizes or of strides, stored inline so that shapes never allocate.
class Dims {
 public:
  static constexpr int max_rank = 6;

  constexpr Dims() = default;
  Dims(std::initializer_list<std::int64_t> values)
      : Dims(std::span(values.begin(), values.size())) {}
  explicit Dims(std::span<const std::int64_t> values);  // Error when longer than max_rank
  static Dims filled(int rank, std::int64_t value);

  int rank() const { return rank_; }
  std::int64_t& operator[](int axis) { return values_[axis]; }
  std::int64_t operator[](int axis) const { return values_[axis]; }
  const std::int64_t* begin() const { return values_; }
  const std::int64_t* end() const { return values_ + rank_; }
  std::int64_t back() const { return values_[rank_ - 1]; }
  void push_back(std::int64_t value);  // Error when full
  void pop_back() { --rank_; }

  // The number of elements of a tensor with these sizes: their product; 1 for rank 0.
  std::int64_t count() const;

  friend bool operator==(const Dims& a, const Dims& b) {
    if (a.rank_ != b.rank_) return false;
    for (int i = 0; i < a.rank_; ++i)
      if (a.values_[i] != b.values_[i]) return false;
    return true;
  }

 private:
  std::int64_t values_[max_rank] = {};
  int rank_ = 0;
};

std::string to_string(const Dims& dims);  // "(64,784)"

// A writable strided array. Strides count elements, not bytes; 0 repeats along an axis.
struct View {
  void* data = nullptr;
  DType dtype = DType::f32;
  Dims shape;
  Dims strides;
  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
};

// The same, read-only. Every View converts to it.
struct ConstView {
  const void* data = nullptr;
  DType dtype = DType::f32;
  Dims shape;
  Dims strides;
  ConstView() = default;
  ConstView(const void* from, DType type, Dims sizes, Dims steps)
      : data(from), dtype(type), shape(sizes), strides(steps) {}
  ConstView(const View& v) : data(v.data), dtype(v.dtype), shape(v.shape), strides(v.strides) {}
  template <class T>
  const T* as() const {
    return static_cast<const T*>(data);
  }
};

// Strides of a dense row-major array: the last axis moves fastest.
Dims contiguous_strides(const Dims& shape);
bool is_contiguous(const Dims& shape, const Dims& strides);

}  // namespace understudy
