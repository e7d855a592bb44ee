// What ops say about inputs that do not fit: both shapes, and what does not.
#include <doctest/doctest.h>

#include <cmath>

#include "engine/autograd.h"
#include "engine/ops.h"
#include "tests/error_text.h"

using namespace understudy;
using understudy::testing::error_text;

namespace {

Tensor zeros(const Shape& shape, DType dtype = DType::f32) { return Tensor::zeros(shape, dtype); }
Tensor indices(std::vector<std::int64_t> values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())});
}

}  // namespace

TEST_SUITE_BEGIN("engine");

TEST_CASE("ops: errors of pointwise ops") {
  CHECK(error_text([] {
          zeros({64, 784}) + zeros({200});
        }) == "[add] (64,784) and (200): sizes 784 and 200 differ at axis 1");
  CHECK(error_text([] {
          zeros({2, 3}) * zeros({3, 3});
        }) == "[mul] (2,3) and (3,3): sizes 2 and 3 differ at axis 0");
  CHECK(error_text([] { zeros({0}) / zeros({2}); }) ==
        "[div] (0) and (2): sizes 0 and 2 differ at axis 0");
  CHECK(error_text([] { zeros({2}) - zeros({2}, DType::f64); }) ==
        "[sub] types float32 and float64 differ; use cast()");
  CHECK(error_text([] { exp(zeros({2}, DType::i64)); }) ==
        "[exp] needs float32 or float64, not int64; use cast()");
  CHECK(error_text([] { maximum(zeros({2}, DType::u8), zeros({2}, DType::u8)); }) ==
        "[maximum] needs float32 or float64, not uint8; use cast()");
  CHECK(error_text([] { where(zeros({3}), zeros({2}), zeros({2})); }) ==
        "[where] (3) and (2): sizes 3 and 2 differ at axis 0");
  CHECK(error_text([] { where(zeros({2}, DType::f64), zeros({2}), zeros({2})); }) ==
        "[where] types float64 and float32 differ; use cast()");
}

TEST_CASE("ops: errors of reshape, permute and broadcast_to") {
  CHECK(error_text([] {
          reshape(zeros({2, 3}), {4, 2});
        }) == "[reshape] (2,3) has 6 elements, which do not fill (4,2)");
  CHECK(error_text([] {
          reshape(zeros({2, 3}), {4, -1});
        }) == "[reshape] (2,3) has 6 elements, which do not fill (4,-1)");
  CHECK(error_text([] {
          reshape(zeros({2, 3}), {-1, -1});
        }) == "[reshape] (-1,-1): only one size may be -1");
  CHECK(error_text([] {
          reshape(zeros({2, 3}), {-2, -3});
        }) == "[reshape] sizes cannot be negative, found (-2,-3)");
  CHECK(error_text([] {
          reshape(zeros({0, 3}), {0, -1});
        }) == "[reshape] (0,3) has 0 elements, which do not fill (0,-1)");
  constexpr std::int64_t big = std::int64_t{1} << 32;  // big · big wraps to 0
  CHECK(error_text([] {
          reshape(zeros({0}), {big, big});
        }) == "[reshape] a tensor of shape (4294967296,4294967296) is too large to address");
  CHECK(error_text([] {
          permute(zeros({2, 3}), {0});
        }) == "[permute] 1 axes for a tensor of shape (2,3)");
  CHECK(error_text([] { permute(zeros({2, 3}), {0, -2}); }) == "[permute] axis 0 is named twice");
  CHECK(error_text([] {
          permute(zeros({2, 3}), {0, 2});
        }) == "[permute] axis 2 of a tensor of rank 2");
  CHECK(error_text([] { transpose(zeros({3})); }) ==
        "[transpose] needs two axes, the tensor has shape (3)");
  CHECK(error_text([] {
          broadcast_to(zeros({3}), {2, 4});
        }) == "[broadcast_to] (3) and (2,4): sizes 3 and 4 differ at axis 1");
  CHECK(error_text([] {
          broadcast_to(zeros({2, 3}), {3});
        }) == "[broadcast_to] (2,3) does not fit (3)");
  CHECK(error_text([] { broadcast_to(zeros({3}), {1}); }) == "[broadcast_to] (3) does not fit (1)");
  CHECK(error_text([] { broadcast_to(zeros({1}), {-1}); }) ==
        "[broadcast_to] sizes cannot be negative, found (-1)");
  CHECK(error_text([] {
          broadcast_to(zeros({1}), {big, big});
        }).ends_with("is too large to address"));
}

TEST_CASE("ops: errors of slice and select") {
  const Tensor x = zeros({5, 3});
  const auto text = [](const char* range) {
    return fmt::format(
        "[slice] {} of axis 0 of (5,3): needs 0 <= begin <= end <= 5 (negative ones "
        "count from the end) and step >= 1",
        range);
  };
  CHECK(error_text([&] { slice(x, 0, 2, 9); }) == text("2:9:1"));
  CHECK(error_text([&] { slice(x, 0, 4, 2); }) == text("4:2:1"));
  CHECK(error_text([&] { slice(x, 0, -7, 2); }) == text("-7:2:1"));
  CHECK(error_text([&] { slice(x, 0, 0, 5, 0); }) == text("0:5:0"));
  CHECK(error_text([&] { slice(x, 0, 0, 5, -1); }) == text("0:5:-1"));
  CHECK(error_text([&] { slice(x, 2, 0, 1); }) == "[slice] axis 2 of a tensor of rank 2");
  CHECK(error_text([&] { select(x, 1, 3); }) ==
        "[select] index 3 of axis 1 of (5,3) is outside [-3, 3)");
  CHECK(error_text([&] { select(x, 0, -6); }) ==
        "[select] index -6 of axis 0 of (5,3) is outside [-5, 5)");
  CHECK(error_text([] { select(zeros({}), 0, 0); }) == "[select] axis 0 of a tensor of rank 0");
}

TEST_CASE("ops: errors of concat and stack") {
  CHECK(error_text([] { concat({}, 0); }) == "[concat] of no tensors");
  CHECK(error_text([] {
          concat({zeros({2, 3}), zeros({2, 4})}, 0);
        }) == "[concat] (2,3) and (2,4) along axis 0: other sizes differ");
  CHECK(error_text([] {
          concat({zeros({2, 3}), zeros({3})}, 0);
        }) ==
        "[concat] (2,3) of float32 on cpu and (3) of float32 on cpu: rank, type or device differ");
  CHECK(error_text([] {
          concat({zeros({2}), zeros({2}, DType::i64)}, 0);
        }) ==
        "[concat] (2) of float32 on cpu and (2) of int64 on cpu: rank, type or device differ");
  CHECK(error_text([] {
          concat({zeros({}), zeros({})}, 0);
        }) == "[concat] axis 0 of a tensor of rank 0");
  CHECK(error_text([] { stack({}, 0); }) == "[stack] of no tensors");
  CHECK(error_text([] {
          stack({zeros({3}), zeros({4})}, 0);
        }) == "[stack] (3) and (4): the shapes differ");
  CHECK(error_text([] {
          stack({zeros({3}), zeros({3})}, 2);
        }) == "[stack] axis 2 of a tensor of rank 2");
  CHECK(error_text([] {
          stack({zeros({1, 1, 1, 1, 1, 1})}, 0);
        }).starts_with("a tensor has at most 6 axes"));
}

TEST_CASE("ops: errors of reductions") {
  CHECK(error_text([] { sum(zeros({2, 3}), {2}); }) == "[sum] axis 2 of a tensor of rank 2");
  CHECK(error_text([] { sum(zeros({2, 3}), {1, -1}); }) == "[sum] axis 1 is named twice");
  CHECK(error_text([] { sum(zeros({2}, DType::i64)); }) == "[sum] needs floats, not int64");
  CHECK(error_text([] { mean(zeros({2, 3}), {-3}); }) == "[mean] axis -3 of a tensor of rank 2");
  CHECK(error_text([] { max(zeros({2, 3}), 2); }) == "[max] axis 2 of a tensor of rank 2");
  CHECK(error_text([] { max(zeros({2, 0}), 1); }) == "[max] over axis 1 of (2,0), which is empty");
  CHECK(error_text([] { max(zeros({2}, DType::u8), 0); }) == "[max] needs floats, not uint8");
  CHECK(error_text([] { argmax(zeros({})); }) ==
        "[argmax] over the last axis of (), which is empty or missing");
  CHECK(error_text([] {
          argmax(zeros({2, 0}));
        }) == "[argmax] over the last axis of (2,0), which is empty or missing");
  CHECK(error_text([] { argmax(zeros({2}, DType::i64)); }) == "[argmax] needs floats, not int64");
}

TEST_CASE("ops: errors of products") {
  CHECK(error_text([] {
          matmul(zeros({64, 784}), zeros({200, 100}));
        }) == "[matmul] (64,784) x (200,100): inner sizes 784 and 200 differ");
  CHECK(error_text([] {
          matmul(zeros({3}), zeros({3, 2}));
        }) == "[matmul] (3) x (3,2): both need at least two axes");
  CHECK(error_text([] {
          matmul(zeros({2, 3, 4}), zeros({3, 4, 5}));
        }) == "[matmul] (2,3,4) x (3,4,5): batch sizes (2) and (3) do not broadcast");
  CHECK(error_text([] {
          matmul(zeros({2, 2}), zeros({2, 2}, DType::f64));
        }) ==
        "[matmul] needs two floating tensors of one type and device, found float32 on cpu and "
        "float64 on "
        "cpu");
  CHECK(error_text([] {
          matmul(zeros({2, 2}, DType::i32), zeros({2, 2}, DType::i32));
        }).starts_with("[matmul] needs two floating tensors"));
  CHECK(error_text([] {
          linear(zeros({64, 784}), zeros({100, 200}), Tensor());
        }) == "[linear] (64,784) x (100,200)ᵀ: inner sizes 784 and 200 differ");
  CHECK(error_text([] { linear(zeros({4}), zeros({4}), Tensor()); }) ==
        "[linear] (4) x (4)ᵀ: needs (..., in) and a weight (out, in)");
  CHECK(error_text([] {
          linear(zeros({}), zeros({1, 1}), Tensor());
        }) == "[linear] () x (1,1)ᵀ: needs (..., in) and a weight (out, in)");
  CHECK(error_text([] {
          linear(zeros({2, 4}), zeros({3, 4}), zeros({4}));
        }) == "[linear] the bias has shape (4), expected (3)");
  CHECK(error_text([] {
          linear(zeros({2, 4}), zeros({3, 4}), zeros({3}, DType::f64));
        }).starts_with("[linear] needs two floating tensors"));
  CHECK(error_text([] {
          solve_spd(zeros({3, 2}), zeros({3, 1}));
        }) == "[solve_spd] (3,2) x X = (3,1): needs (n,n) and (n,m)");
  CHECK(error_text([] {
          solve_spd(Tensor::full({2, 2}, 1), zeros({2, 1}));
        }) ==
        "[solve_spd] the matrix of shape (2,2) is not positive definite; add a ridge to its "
        "diagonal");
  CHECK(error_text([] {
          solve_spd(Tensor::full({1, 1}, std::nan("")), zeros({1, 1}));
        }).find("not positive definite") != std::string::npos);
}

TEST_CASE("ops: errors of softmax and losses") {
  CHECK(error_text([] { softmax(zeros({})); }) ==
        "[softmax] needs a floating tensor with at least one axis, found float32 of ()");
  CHECK(error_text([] { log_softmax(zeros({2}, DType::i64)); }) ==
        "[log_softmax] needs a floating tensor with at least one axis, found int64 of (2)");
  CHECK(error_text([] {
          cross_entropy(zeros({3, 10}), indices({0, 10, 2}));
        }) == "[cross_entropy] index 10 at position 1 is outside [0, 10)");
  CHECK(error_text([] {
          cross_entropy(zeros({3, 10}), indices({0, 1, -1}));
        }) == "[cross_entropy] index -1 at position 2 is outside [0, 10)");
  CHECK(
      error_text([] {
        cross_entropy(zeros({3, 10}), indices({0, 1}));
      }) ==
      "[cross_entropy] logits (3,10) need int64 labels (3) on the same device, found int64 of (2)");
  CHECK(error_text([] {
          cross_entropy(zeros({3, 10}), zeros({3}));
        }) ==
        "[cross_entropy] logits (3,10) need int64 labels (3) on the same device, found float32 of "
        "(3)");
  CHECK(error_text([] { cross_entropy(zeros({10}), indices({1})); }) ==
        "[cross_entropy] needs logits (N, C), found (10)");
  CHECK(error_text([] {
          mse(zeros({2, 3}), zeros({3}));
        }) == "[mse] (2,3) and (3): the shapes differ");
  CHECK(error_text([] {
          kl_divergence(zeros({2, 3}), zeros({3}));
        }) == "[kl_divergence] logits (2,3) and target (3): both must be (N, C)");
}

TEST_CASE("ops: errors of convolution") {
  const auto conv = [](const Shape& x, const Shape& w, const Conv2d& how = {},
                       const Tensor& bias = {}) {
    return error_text([&] { conv2d(zeros(x), zeros(w), bias, how); });
  };
  CHECK(conv({4, 4, 3}, {2, 3, 3, 3}) ==
        "[conv2d] (4,4,3) with filters (2,3,3,3): needs images (N,H,W,C) and filters (K,R,S,C)");
  CHECK(
      conv({1, 4, 4, 3}, {2, 3, 3, 4}) ==
      "[conv2d] images (1,4,4,3) with filters (2,3,3,4): 3 and 4 channels (the last axis) differ");
  CHECK(
      conv({1, 4, 4, 3}, {2, 3, 3, 3}, {.stride = {1, 0}, .padding = -1}) ==
      "[conv2d] stride 1x0, padding -1x-1, dilation 1x1: strides and dilations must be at least 1, "
      "paddings at least 0, and none above 1073741824");
  CHECK(conv({1, 4, 4, 3}, {2, 3, 3, 3}, {.padding = std::int64_t{1} << 62})
            .ends_with("none above 1073741824"));
  CHECK(conv({1, 4, 4, 3}, {2, 3, 3, 3}, {.dilation = 2}) ==
        "[conv2d] images (1,4,4,3) with padding 0x0 have no room for filters (2,3,3,3) with "
        "dilation 2x2");
  CHECK(conv({1, 4, 4, 3}, {2, 3, 3, 3}, {}, zeros({3})) ==
        "[conv2d] the bias has shape (3), expected (2)");
  CHECK(error_text([] {
          conv2d(zeros({1, 4, 4, 3}), zeros({2, 3, 3, 3}, DType::f64), {});
        }) ==
        "[conv2d] needs two floating tensors of one type and device, found float32 on cpu and "
        "float64 on cpu");
  CHECK(conv({1, 4, 4, 3}, {2, 3, 3, 3}, {.stride = 2, .algorithm = ConvAlgorithm::winograd})
            .starts_with("[conv2d] the algorithm 'winograd' does not apply to the forward pass"));

  const auto affine = [](const Tensor& weight, const Tensor& scale, const Tensor& residual) {
    return error_text([&] {
      conv2d_affine(zeros({1, 3, 3, 1}), weight, scale, zeros({2}), residual);
    });
  };
  Tensor filters = zeros({2, 3, 3, 1});
  CHECK(affine(filters, {}, {}) == "[conv2d_affine] needs a scale and a shift");
  CHECK(affine(filters, zeros({2}), zeros({1, 3, 3, 2})) ==
        "[conv2d_affine] the residual must be like the result, (1,1,1,2) of float32 on cpu; found "
        "(1,3,3,2) of float32 on cpu");
  filters.set_requires_grad(true);
  CHECK(affine(filters, zeros({2}), {}) ==
        "[conv2d_affine] has no gradient, but an input wants one: take conv2d and batch_norm, or "
        "put it under a NoGradGuard");
  const NoGradGuard no_grad;
  CHECK(conv2d_affine(zeros({1, 3, 3, 1}), filters, zeros({2}), zeros({2}), {}).shape() ==
        Shape{1, 1, 1, 2});

  const auto squares = [](const std::vector<Tensor>& dy, HeightWidth window) {
    return error_text([&] { conv2d_squared_weight_gradients(dy, zeros({2, 4, 4, 3}), window); });
  };
  const std::string squares_op = "[conv2d_squared_weight_gradients] ";
  CHECK(squares({}, 3) == squares_op + "needs at least one gradient (N,P,Q,K)");
  CHECK(squares({zeros({2, 2, 2, 5}), zeros({2, 2, 3, 5})}, 3) ==
        squares_op +
            "a gradient must be like the result, (2,2,2,5) of float32 on cpu; found (2,2,3,5) of "
            "float32 on cpu");
  CHECK(
      squares({zeros({2, 2, 2, 5}, DType::f64)}, 3).ends_with("found (2,2,2,5) of float64 on cpu"));
  CHECK(squares({zeros({2, 2, 2, 5})}, 5).ends_with("dilation 1x1"));  // no room for the window
  CHECK(squares({zeros({2, 2, 2, 5})}, 0) != "");
}

TEST_CASE("ops: errors of batch norm, pooling and images") {
  const ChannelStatistics three{zeros({3}), zeros({3})};
  const auto norm = [&](const Tensor& x, const Tensor& weight, const Tensor& residual = {}) {
    return error_text([&] { batch_norm(x, weight, zeros({3}), three, 1e-5, residual); });
  };
  CHECK(norm(zeros({2, 3}, DType::i64), zeros({3})) ==
        "[batch_norm] needs a floating tensor whose last axis is the channels, found int64 of "
        "(2,3)");
  CHECK(norm(zeros({2, 3}), zeros({2})) ==
        "[batch_norm] the weight must be (3) of float32 on cpu, one value per channel of (2,3); "
        "found (2) of float32 on cpu");
  CHECK(norm(zeros({2, 3}), {}) ==
        "[batch_norm] the weight must be (3) of float32 on cpu, one value per channel of (2,3); "
        "found an undefined tensor");
  CHECK(norm(zeros({2, 3}), zeros({3}), zeros({3})) ==
        "[batch_norm] the residual must be like x, (2,3) of float32 on cpu; found (3) of float32 "
        "on cpu");
  CHECK(error_text([&] {
          batch_norm(zeros({2, 3}), zeros({3}), zeros({3}), three, 0);
        }) == "[batch_norm] eps must be positive, found 0");
  CHECK(error_text([] {
          channel_statistics(zeros({0, 3}));
        }) == "[channel_statistics] of (0,3): there are no values");
  CHECK(error_text([] {
          max_pool2d(zeros({2, 4, 3}), {.window = 2});
        }) == "[max_pool2d] needs floating images (N,H,W,C), found float32 of (2,4,3)");
  CHECK(error_text([] {
          average_pool2d(zeros({1, 4, 4, 1}), {.window = {3, 2}, .stride = 0, .padding = 2});
        }) ==
        "[average_pool2d] window 3x2, stride 0x0, padding 2x2: windows and strides must be "
        "from 1 to 1073741824, paddings from 0 to half a window");
  CHECK(error_text([] {
          max_pool2d(zeros({1, 0, 4, 1}), {.window = 2, .padding = 1});
        }) == "[max_pool2d] images (1,0,4,1) have no pixels");
  CHECK(error_text([] {
          max_pool2d(zeros({1, 4, 2, 1}), {.window = 3});
        }) == "[max_pool2d] images (1,4,2,1) with padding 0x0 have no room for windows of 3x3");
  CHECK(error_text([] {
          global_average_pool(zeros({2, 3}));
        }) == "[global_average_pool] needs images (N,H,W,C), found (2,3)");
  CHECK(error_text([] {
          pad2d(zeros({2, 3}), 1);
        }) == "[pad2d] needs images (N,H,W,C), found (2,3)");
  CHECK(error_text([] {
          pad2d(zeros({1, 2, 2, 1}), {1, -1});
        }) == "[pad2d] padding 1x-1: both must be from 0 to 1073741824");
  CHECK(error_text([] { flip(zeros({2, 3}), 2); }) == "[flip] axis 2 of a tensor of rank 2");
}

TEST_CASE("ops: errors of gathering") {
  CHECK(error_text([] {
          gather_rows(zeros({3, 2}), indices({0, 3}));
        }) == "[gather_rows] index 3 at position 1 is outside [0, 3)");
  CHECK(error_text([] {
          gather_rows(zeros({0, 2}), indices({0}));
        }) == "[gather_rows] index 0 at position 0 is outside [0, 0)");
  CHECK(error_text([] {
          gather_rows(zeros({3, 2}), zeros({1}, DType::i32));
        }) == "[gather_rows] the index must be int64 of rank 1 on cpu, found int32 of (1) on cpu");
  CHECK(error_text([] { gather_rows(zeros({}), indices({0})); }) ==
        "[gather_rows] of a tensor of shape ()");
  const std::vector<float> one = {0.5f}, two = {0.5f, 0.5f}, none = {0.0f};
  const Tensor images = zeros({2, 4, 4, 1}, DType::u8);
  CHECK(error_text([&] {
          gather_images(zeros({2, 4, 4, 1}), indices({0}), one, one);
        }) == "[gather_images] needs uint8 images (N,H,W,C), found float32 of (2,4,4,1)");
  CHECK(error_text([&] { gather_images(images, indices({0}), two, two); }) ==
        "[gather_images] 1 channels need as many means and deviations, found 2 and 2");
  CHECK(error_text([&] { gather_images(images, indices({2}), one, one); }) ==
        "[gather_images] index 2 at position 0 is outside [0, 2)");
  CHECK(error_text([&] { gather_images(images, indices({0}), one, none); }) ==
        "[gather_images] the deviation of channel 0 is 0; it must be above 0");
  CHECK(error_text([&] {
          gather_images(images, indices({0, 1}), one, one, zeros({2, 3}, DType::i64));
        }) ==
        "[gather_images] the placement must be int32 of (2,3) on cpu, found int64 of (2,3) on cpu");
  CHECK(error_text([&] {
          gather_images(images, indices({0, 1}), one, one, zeros({1, 3}, DType::i32));
        }) ==
        "[gather_images] the placement must be int32 of (2,3) on cpu, found int32 of (1,3) on cpu");
}

TEST_SUITE_END();
