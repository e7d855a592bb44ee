#include "kernels/view.h"

#include "kernels/check.h"

namespace understudy {

const char* to_string(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "float32";
    case DType::f64:
      return "float64";
    case DType::u8:
      return "uint8";
    case DType::i32:
      return "int32";
    case DType::i64:
      return "int64";
  }
  return "unknown dtype";
}

Dims::Dims(std::span<const std::int64_t> values) {
  check(values.size() <= std::size_t{max_rank}, "a tensor has at most {} axes; {} were given",
        max_rank, values.size());
  for (const std::int64_t value : values) values_[rank_++] = value;
}

Dims Dims::filled(int rank, std::int64_t value) {
  check(0 <= rank && rank <= max_rank, "a tensor has 0 to {} axes; {} were asked for", max_rank,
        rank);
  Dims dims;
  while (dims.rank_ < rank) dims.values_[dims.rank_++] = value;
  return dims;
}

void Dims::push_back(std::int64_t value) {
  check(rank_ < max_rank, "a tensor has at most {} axes; cannot add another to {}", max_rank,
        to_string(*this));
  values_[rank_++] = value;
}

std::int64_t Dims::count() const {
  std::int64_t product = 1;
  for (int axis = 0; axis < rank_; ++axis) product *= values_[axis];
  return product;
}

std::string to_string(const Dims& dims) { return fmt::format("({})", fmt::join(dims, ",")); }

Dims contiguous_strides(const Dims& shape) {
  Dims strides = shape;
  std::int64_t step = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    strides[axis] = step;
    step *= shape[axis];
  }
  return strides;
}

// The stride of an axis of size 1 is never used, and no stride is where there are no elements.
bool is_contiguous(const Dims& shape, const Dims& strides) {
  if (shape.count() == 0) return true;
  std::int64_t step = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    if (shape[axis] != 1 && strides[axis] != step) return false;
    step *= shape[axis];
  }
  return true;
}

}  // namespace understudy
