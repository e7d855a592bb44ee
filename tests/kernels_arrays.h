// What the kernel tests share: arrays with guard bands, index loops, and the settings (instruction
// set, threads) that every kernel is tried under.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cpu/isa.h"
#include "kernels/parallel.h"

namespace understudy::testing {

inline Backend& cpu_backend() { return backend(Device{}); }

// Runs body(description) under each instruction set of this machine, with 1 and with 3 threads.
template <class Body>
void under_all_settings(Body&& body) {
  const auto isa_before = cpu::instruction_set();
  const int threads_before = num_threads();
  for (const auto isa :
       {cpu::InstructionSet::baseline, cpu::InstructionSet::avx2, cpu::InstructionSet::avx512}) {
    if (!cpu::is_available(isa)) continue;
    for (const int threads : {1, 3}) {
      cpu::set_instruction_set(isa);
      set_num_threads(threads);
      const std::string setting = fmt::format("{}, {} threads", cpu::to_string(isa), threads);
      INFO(setting);
      body();
    }
  }
  cpu::set_instruction_set(isa_before);
  set_num_threads(threads_before);
}

// body(index) for every index of an array of this shape, the last axis fastest.
template <class Body>
void for_each_index(const Dims& shape, Body&& body) {
  if (shape.count() == 0) return;
  Dims index = Dims::filled(shape.rank(), 0);
  while (true) {
    body(static_cast<const Dims&>(index));
    int axis = shape.rank() - 1;
    for (; axis >= 0 && ++index[axis] == shape[axis]; --axis) index[axis] = 0;
    if (axis < 0) return;
  }
}

inline std::int64_t offset_of(const Dims& index, const Dims& strides) {
  std::int64_t offset = 0;
  for (int axis = 0; axis < index.rank(); ++axis) offset += index[axis] * strides[axis];
  return offset;
}

// A shape with the axes reduced to 1 that the bits of `mask` name.
inline Dims reduced_shape(const Dims& shape, int mask) {
  Dims out = shape;
  for (int axis = 0; axis < shape.rank(); ++axis)
    if (mask >> axis & 1) out[axis] = 1;
  return out;
}

enum class Layout { dense, transposed, gapped, row_broadcast, column_broadcast, scalar };
inline constexpr Layout input_layouts[] = {
    Layout::dense,         Layout::transposed,       Layout::gapped,
    Layout::row_broadcast, Layout::column_broadcast, Layout::scalar};
inline constexpr Layout output_layouts[] = {Layout::dense, Layout::transposed, Layout::gapped};

inline const char* name_of(Layout layout) {
  constexpr const char* names[] = {"dense",         "transposed",       "gapped",
                                   "row_broadcast", "column_broadcast", "scalar"};
  return names[static_cast<int>(layout)];
}

// Strides of a layout: transposed has the first axis fastest, gapped leaves every other
// element out, row_broadcast repeats along the first axis, column_broadcast along the
// last, scalar along all.
inline Dims strides_of(const Dims& shape, Layout layout) {
  Dims strides = contiguous_strides(shape);
  const int rank = shape.rank();
  if (layout == Layout::scalar) return Dims::filled(rank, 0);
  if (layout == Layout::transposed) {
    std::int64_t step = 1;
    for (int axis = 0; axis < rank; ++axis) {
      strides[axis] = step;
      step *= shape[axis];
    }
  }
  if (layout == Layout::gapped)
    for (int axis = 0; axis < rank; ++axis) strides[axis] *= 2;
  if (layout == Layout::row_broadcast && rank > 0) strides[0] = 0;
  if (layout == Layout::column_broadcast && rank > 0) strides[rank - 1] = 0;
  return strides;
}

// A small generator of its own, so that inputs do not depend on what is tested.
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : state_(seed * 2654435761u + 12345) {}
  double between(double low, double high) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return low + (high - low) * static_cast<double>(state_ >> 11) / 9007199254740992.0;
  }
  std::int64_t below(std::int64_t n) { return static_cast<std::int64_t>(between(0, double(n))); }

 private:
  std::uint64_t state_;
};

// A strided array inside a larger block. What the view does not reach is filled with a pattern, and
// so is an output's every element, where the pattern is a NaN.
template <class T>
class Array {
 public:
  explicit Array(const Dims& shape, Layout layout = Layout::dense)
      : shape_(shape), strides_(strides_of(shape, layout)) {
    std::int64_t last = 0;
    for (int axis = 0; axis < shape.rank(); ++axis)
      if (shape[axis] > 0) last += (shape[axis] - 1) * strides_[axis];
    block_.resize(static_cast<std::size_t>(2 * guard + last + 1));
    std::memset(block_.data(), 0xFF, block_.size() * sizeof(T));
    reached_.resize(block_.size(), false);
    for_each_index(shape, [&](const Dims& index) { reached_[place(index)] = true; });
  }

  static Array uniform(const Dims& shape, Layout layout, std::uint64_t seed, double low,
                       double high) {
    Array array(shape, layout);
    Draw draw(seed);
    for (std::size_t i = 0; i < array.block_.size(); ++i)
      if (array.reached_[i]) array.block_[i] = static_cast<T>(draw.between(low, high));
    return array;
  }

  T& at(const Dims& index) { return block_[place(index)]; }
  const T& at(const Dims& index) const { return block_[place(index)]; }
  // The i-th element of a dense array.
  T& operator[](std::int64_t i) { return block_[static_cast<std::size_t>(guard + i)]; }
  const T& operator[](std::int64_t i) const { return block_[static_cast<std::size_t>(guard + i)]; }

  const Dims& shape() const { return shape_; }
  operator View() { return {block_.data() + guard, dtype_of<T>, shape_, strides_}; }
  operator ConstView() const { return {block_.data() + guard, dtype_of<T>, shape_, strides_}; }

  // All of the memory, and where in it the first element is.
  std::vector<T>& block() { return block_; }
  const std::vector<T>& block() const { return block_; }
  static constexpr std::int64_t guard = 64;

  // True while nothing outside the view has been written.
  bool guards_intact() const {
    T untouched;
    std::memset(&untouched, 0xFF, sizeof untouched);
    for (std::size_t i = 0; i < block_.size(); ++i)
      if (!reached_[i] && std::memcmp(&block_[i], &untouched, sizeof untouched) != 0) return false;
    return true;
  }

 private:
  std::size_t place(const Dims& index) const {
    return static_cast<std::size_t>(guard + offset_of(index, strides_));
  }

  Dims shape_, strides_;
  std::vector<T> block_;
  std::vector<bool> reached_;
};

// The values of an array in the order of its indices.
template <class T>
std::vector<double> values_of(const Array<T>& x) {
  std::vector<double> values;
  for_each_index(x.shape(), [&](const Dims& i) { values.push_back(static_cast<double>(x.at(i))); });
  return values;
}

// How far apart two numbers are, relative to the larger of 1 and `want`: 0 for two NaNs or two
// equal infinities, infinite where only one is special.
inline double mismatch(double got, double want) {
  if (std::isnan(got) || std::isnan(want))
    return std::isnan(got) && std::isnan(want) ? 0 : INFINITY;
  if (got == want) return 0;
  return std::abs(got - want) / std::max(1.0, std::abs(want));
}

// The largest mismatch over an array; want(index) gives the expected value.
template <class T, class Want>
double worst_mismatch(const Array<T>& got, Want&& want) {
  double worst = 0;
  for_each_index(got.shape(), [&](const Dims& index) {
    worst = std::max(worst, mismatch(static_cast<double>(got.at(index)), want(index)));
  });
  return worst;
}

// The largest distance from `want`, relative to the rms of want (to 1 where that is less).
template <class T>
double distance(const Array<T>& got, const std::vector<double>& want) {
  double square = 0, worst = 0;
  for (const double v : want) square += v * v;
  const double rms = want.empty() ? 1 : std::sqrt(square / static_cast<double>(want.size()));
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double error = std::abs(static_cast<double>(got[static_cast<std::int64_t>(i)]) - want[i]);
    worst = error <= worst ? worst : error;  // NaN stays
  }
  return worst / std::max(rms, 1.0);
}

template <class T>
inline constexpr double rounding = static_cast<double>(std::numeric_limits<T>::epsilon());

}  // namespace understudy::testing
