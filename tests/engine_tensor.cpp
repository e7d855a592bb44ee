// Tensors: making and reading them, views and what they share, conversions, in-place changes.
#include "engine/tensor.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "engine/autograd.h"
#include "engine/ops.h"
#include "tests/error_text.h"

using namespace understudy;
using understudy::testing::error_text;

namespace {

// 0, 1, 2 ... as float.
Tensor counted(const Shape& shape) {
  return reshape(Tensor::arange(shape.count(), DType::f32), shape);
}

using Values = std::vector<float>;

}  // namespace

TEST_SUITE_BEGIN("engine");

TEST_CASE("tensor: making one") {
  const Tensor x = Tensor::from(Values{1, 2, 3, 4, 5, 6}, {2, 3});
  CHECK(x.shape() == Shape{2, 3});
  CHECK(x.strides() == Strides{3, 1});
  CHECK(x.rank() == 2);
  CHECK(x.count() == 6);
  CHECK(x.size(0) == 2);
  CHECK(x.size(-1) == 3);
  CHECK(x.dtype() == DType::f32);
  CHECK(x.device() == Device{});
  CHECK(x.is_contiguous());
  CHECK(x.data<float>()[4] == 5);
  CHECK(!x.requires_grad());
  CHECK(x.is_leaf());
  CHECK(Tensor::full({2}, 2.5).to_vector<float>() == Values{2.5, 2.5});
  CHECK(Tensor::zeros({0, 3}).to_vector<float>().empty());
  CHECK(Tensor::ones({}).item() == 1);
  CHECK(Tensor::arange(4).to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 1, 2, 3});
  CHECK(Tensor::arange(3, DType::f64).dtype() == DType::f64);
  CHECK(Tensor::arange(0).count() == 0);
  for (const DType dtype : {DType::f32, DType::f64, DType::u8, DType::i32, DType::i64}) {
    CHECK(Tensor::full({3}, 7, dtype).to_vector<double>() == std::vector<double>{7, 7, 7});
    CHECK(Tensor::ones({}, dtype).item() == 1);
  }
  // Values are copied in, handles share.
  Values values = {1, 2};
  Tensor a = Tensor::from(values, {2});
  values[0] = 9;
  const Tensor b = a;
  a.mutable_data<float>()[1] = 5;
  CHECK(b.to_vector<float>() == Values{1, 5});
}

TEST_CASE("tensor: an undefined one says so") {
  const Tensor none;
  CHECK(!none.defined());
  CHECK(!none.owns_storage_alone());
  CHECK(error_text([&] { none.shape(); }) == "an undefined tensor was used");
  CHECK(error_text([&] { exp(none); }) == "an undefined tensor was used");
  CHECK(error_text([&] { none + Tensor::ones({}); }) == "an undefined tensor was used");
  CHECK(error_text([&] { Tensor::ones({}).copy_(none); }) == "an undefined tensor was used");
}

TEST_CASE("tensor: sizes that cannot be") {
  CHECK(error_text([] {
          Tensor::empty({2, -1});
        }) == "[empty] sizes cannot be negative, found (2,-1)");
  constexpr std::int64_t big = std::int64_t{1} << 40;
  CHECK(error_text([] {
          Tensor::empty({big, big});
        }) == "[empty] a tensor of shape (1099511627776,1099511627776) is too large to address");
  CHECK(error_text([] {
          Tensor::empty({big, big, big, big});
        }).ends_with("is too large to address"));
  // Whatever the order: an empty axis does not hide sizes whose strides overflow.
  CHECK(error_text([] { Tensor::empty({0, big, big}); }).ends_with("is too large to address"));
  CHECK(error_text([] { Tensor::empty({big, big, 0}); }).ends_with("is too large to address"));
  CHECK(Tensor::empty({0, big}).count() == 0);
  CHECK(error_text([] {
          Tensor::from(Values{1, 2, 3}, {2});
        }) == "3 values do not fill a tensor of shape (2)");
  CHECK(error_text([] { Tensor::from(Values{}, {}); }) ==
        "0 values do not fill a tensor of shape ()");
  CHECK(error_text([] {
          Tensor::empty({1, 1, 1, 1, 1, 1, 1});
        }) == "a tensor has at most 6 axes; 7 were given");
  CHECK(error_text([] { Tensor::arange(-1); }) == "[empty] sizes cannot be negative, found (-1)");
}

TEST_CASE("tensor: reading elements") {
  const Tensor x = counted({2, 3});
  CHECK(error_text([&] { x.data<double>(); }) ==
        "[data] the tensor holds float32, asked for float64");
  CHECK(error_text([&] { transpose(x).data<float>(); }) ==
        "[data] the tensor of shape (3,2) is strided; use contiguous(x)");
  CHECK(transpose(x).to_vector<float>() == Values{0, 3, 1, 4, 2, 5});
  CHECK(x.to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 1, 2, 3, 4, 5});
  CHECK(error_text([&] { x.item(); }) == "[item] a tensor of shape (2,3) has 6 elements, not one");
  CHECK(error_text([] { Tensor::zeros({0}).item(); }) ==
        "[item] a tensor of shape (0) has 0 elements, not one");
  CHECK(select(select(x, 0, 1), 0, 2).item() == 5);
  CHECK(Tensor::full({1, 1, 1}, 3, DType::u8).item() == 3);
  CHECK(error_text([&] { x.size(2); }) == "[size] axis 2 of a tensor of rank 2");
  CHECK(error_text([&] { x.size(-3); }) == "[size] axis -3 of a tensor of rank 2");
}

TEST_CASE("tensor: views share elements, copies do not") {
  Tensor x = counted({3, 4});
  Tensor row = select(x, 0, 1), column = slice(x, 1, -1, 4), every = slice(x, 1, 0, 4, 3);
  Tensor turned = transpose(x), flat = reshape(x, {12}), wide = broadcast_to(row, {2, 4});
  Tensor copy = clone(x), dense = contiguous(turned);
  CHECK(!column.is_contiguous());
  CHECK(every.strides() == Strides{4, 3});
  CHECK(turned.strides() == Strides{1, 4});
  CHECK(wide.strides() == Strides{0, 1});
  row.fill_(-1);
  CHECK(x.to_vector<float>() == Values{0, 1, 2, 3, -1, -1, -1, -1, 8, 9, 10, 11});
  CHECK(column.to_vector<float>() == Values{3, -1, 11});
  CHECK(every.to_vector<float>() == Values{0, 3, -1, -1, 8, 11});
  CHECK(select(turned, 1, 1).to_vector<float>() == Values{-1, -1, -1, -1});
  CHECK(flat.to_vector<float>()[5] == -1);
  CHECK(wide.to_vector<float>() == Values(8, -1));
  CHECK(copy.to_vector<float>()[5] == 5);
  CHECK(dense.to_vector<float>()[4] == 5);
  // A view of a view, and of a strided one.
  CHECK(slice(select(turned, 0, 3), 0, 0, 3, 2).to_vector<float>() == Values{3, 11});
  CHECK(reshape(turned, {6, 2}).to_vector<float>() ==
        Values{0, -1, 8, 1, -1, 9, 2, -1, 10, 3, -1, 11});
  // Axes of size 1, and empty ones, make nothing strided.
  CHECK(transpose(counted({1, 5})).is_contiguous());
  CHECK(transpose(Tensor::zeros({0, 5})).is_contiguous());
  CHECK(contiguous(x).version() == x.version());  // itself
}

TEST_CASE("tensor: who owns the storage") {
  Tensor x = counted({2});
  x = clone(x);
  CHECK(x.owns_storage_alone());
  {
    const Tensor other = x;
    CHECK(!x.owns_storage_alone());
  }
  CHECK(x.owns_storage_alone());
  const Tensor view = slice(x, 0, 0, 1);
  CHECK(!x.owns_storage_alone());
  CHECK(!view.owns_storage_alone());
}

TEST_CASE("tensor: every change in place is counted, through any view") {
  Tensor x = counted({2, 2});
  const Tensor view = transpose(x);
  std::uint32_t last = x.version();
  const auto changed = [&] { return view.version() > std::exchange(last, view.version()); };
  x.fill_(1);
  CHECK(changed());
  x.copy_(counted({2, 2}));
  CHECK(changed());
  x.mutable_data<float>();
  CHECK(changed());
  select(x, 0, 1).fill_(3);
  CHECK(changed());
  x.data<float>();
  exp(x);
  x.to_vector<double>();
  CHECK(!changed());
}

TEST_CASE("tensor: copies between types") {
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<double> x = {-1.9, -0.5, 0.5,      1.9,       254.9,       300,
                                 3e9,  1e19, infinity, -infinity, std::nan("")};
  const Tensor source = Tensor::from(x, {static_cast<std::int64_t>(x.size())});
  // Truncated; what does not fit becomes the nearest that does.
  CHECK(cast(source, DType::u8).to_vector<std::uint8_t>() ==
        std::vector<std::uint8_t>{0, 0, 0, 1, 254, 255, 255, 255, 255, 0, 0});
  constexpr std::int32_t i32_max = std::numeric_limits<std::int32_t>::max();
  CHECK(
      cast(source, DType::i32).to_vector<std::int32_t>() ==
      std::vector<std::int32_t>{-1, 0, 0, 1, 254, 300, i32_max, i32_max, i32_max, -i32_max - 1, 0});
  constexpr std::int64_t i64_max = std::numeric_limits<std::int64_t>::max();
  CHECK(cast(source, DType::i64).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{-1, 0, 0, 1, 254, 300, 3000000000, i64_max, i64_max, -i64_max - 1,
                                  0});
  CHECK(cast(Tensor::from(std::vector<std::int64_t>{-1, 200, 1ll << 40}, {3}), DType::f32)
            .to_vector<float>() == Values{-1, 200, 0x1p40f});
  CHECK(cast(cast(Tensor::from(Values{0.1f}, {1}), DType::f64), DType::f32).item() == 0.1f);
  // copy_ converts too, between any strides.
  Tensor into = Tensor::zeros({2, 3}, DType::i32);
  transpose(into).copy_(Tensor::from(std::vector<double>{1.5, 2.5, 3.5, 4.5, 5.5, 6.5}, {3, 2}));
  CHECK(into.to_vector<std::int32_t>() == std::vector<std::int32_t>{1, 3, 5, 2, 4, 6});
  CHECK(cast(into, DType::i32).version() == into.version());  // itself
}

TEST_CASE("tensor: a gradient goes back through a change of type") {
  const Tensor x = Tensor::from(std::vector<double>{1, 2}, {2}).set_requires_grad(true);
  sum(square(cast(x, DType::f32))).backward();
  CHECK(x.grad().dtype() == DType::f64);
  CHECK(x.grad().to_vector<double>() == std::vector<double>{2, 4});
}

TEST_CASE("tensor: copies in place") {
  Tensor x = counted({5});
  CHECK(error_text([&] { x.copy_(counted({4})); }) == "[copy_] (4) into (5): the shapes differ");
  // Overlapping views, in both directions.
  slice(x, 0, 1, 5).copy_(slice(x, 0, 0, 4));
  CHECK(x.to_vector<float>() == Values{0, 0, 1, 2, 3});
  slice(x, 0, 0, 4).copy_(slice(x, 0, 1, 5));
  CHECK(x.to_vector<float>() == Values{0, 1, 2, 3, 3});
  Tensor square = counted({3, 3});
  square.copy_(transpose(square));
  CHECK(square.to_vector<float>() == Values{0, 3, 6, 1, 4, 7, 2, 5, 8});
  square.copy_(square);
  CHECK(square.to_vector<float>() == Values{0, 3, 6, 1, 4, 7, 2, 5, 8});
  // One element behind many places has no one value to take.
  Tensor repeated = broadcast_to(x, {2, 5});
  CHECK(error_text([&] {
          repeated.copy_(counted({2, 5}));
        }) ==
        "[copy_] this tensor of shape (2,5) repeats its elements along axis 0 and cannot be "
        "changed in "
        "place; use clone(x)");
  CHECK(error_text([&] {
          repeated.fill_(0);
        }).starts_with("[fill_] this tensor of shape (2,5) repeats"));
  // The source may repeat, and empty tensors take nothing.
  Tensor rows = Tensor::zeros({2, 5});
  rows.copy_(repeated);
  CHECK(rows.to_vector<float>() == Values{0, 1, 2, 3, 3, 0, 1, 2, 3, 3});
  broadcast_to(Tensor::zeros({1, 0}), {3, 0}).fill_(1);
}

TEST_CASE("tensor: devices that are not there") {
  const Device none{DeviceKind::cuda, 63};
  CHECK(error_text([&] {
          to(counted({2}), none);
        }).starts_with("device 'cuda:63' was asked for, but "));
  CHECK_THROWS_AS(Tensor::zeros({2}, DType::f32, none), UsageError);
  CHECK(to(counted({2}), Device{}).to_vector<float>() == Values{0, 1});
}

TEST_SUITE_END();
