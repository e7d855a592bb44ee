// Step 8: what follows the convolution, while its result is in registers. Networks add a bias and
// apply ReLU to almost every convolution's output. Done in the output transform, that is one
// addition and one comparison on a vector that is about to be stored; done afterwards, it reads and
// writes all of y once more.
//
// What to expect. Over 384 images y is 50 MB and comes and goes through memory: a pass reads and
// writes 100 MB, at 25 GB/s 4 ms beside 16 times step 7's 5.3 ms on one core, or 5 %. With more
// threads the pass gains nothing, because they share the memory, and its share grows. (For 24
// images, 3 MB, y stays in L3 and the difference is hard to measure.) A network has such a pass
// after nearly every layer: batch norm, ReLU and every other time an addition.
//
// Prints both ways: milliseconds, GFLOP/s (of the definition) and per cent of the measured peak,
// after checking the results.
#include "winograd.h"

namespace {

using study::Index;
using namespace study::winograd;

constexpr Index block = 12;  // tiles

Index input_step(const study::Conv& v) { return block * v.C; }
Index product_step(const study::Conv& v) { return block * v.K; }
Index scratch_of_thread(const study::Conv& v) {
  return elements * (input_step(v) + product_step(v));
}
Index scratch(const study::Conv& v) { return v.C + v.threads * scratch_of_thread(v); }

template <bool BiasRelu>
void convolve(const study::Conv& v) {
  const Index tiles = tile_count(v), blocks = (tiles + block - 1) / block, threads = v.threads;
  const float* const zeros = v.scratch;  // C of them, as it was at first
  study::run_on(v.threads, [&](Index thread) {
    float* const inputs = v.scratch + v.C + thread * scratch_of_thread(v);
    float* const products = inputs + elements * input_step(v);
    for (Index b = blocks * thread / threads; b < blocks * (thread + 1) / threads; ++b) {
      const Index first = b * block, count = std::min(block, tiles - first);
      for (Index t = 0; t < count; ++t)
        transform_input(v, zeros, first + t, inputs + t * v.C, input_step(v));
      for (Index e = 0; e < elements; ++e)
        multiply_element(v, e, inputs + e * input_step(v), products + e * product_step(v), count);
      for (Index t = 0; t < count; ++t)
        transform_output<BiasRelu>(v, first + t, products + t * v.K, product_step(v));
    }
  });
}

STUDY_AVX2 void add_bias_relu(const study::Conv& v, Index begin, Index end) {
  for (Index pixel = begin; pixel < end; ++pixel)
    for (Index k = 0; k < v.K; ++k) {
      const float sum = v.y[pixel * v.K + k] + v.bias[k];
      v.y[pixel * v.K + k] = sum > 0 ? sum : 0;
    }
}

// The rival: step 7, then a pass over y.
void convolve_then_pass(const study::Conv& v) {
  convolve<false>(v);
  const Index pixels = v.pixels(), threads = v.threads;
  study::run_on(v.threads, [&](Index thread) {
    add_bias_relu(v, pixels * thread / threads, pixels * (thread + 1) / threads);
  });
}

}  // namespace

int main(int argc, char** argv) {
  return study::run_conv("conv_8_epilogue", argc, argv,
                         {.run = convolve<true>,
                          .prepare = transform_filters,
                          .scratch = scratch,
                          .threads = true,
                          .bias_relu = true,
                          .images = 384,
                          .rival_name = "the same in two passes",
                          .rival = convolve_then_pass});
}
