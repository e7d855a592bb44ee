// Step 0: the numbers that the headers of the other programs calculate with.
//
// Multiply-adds in registers (the ceiling), bytes a second that one core reads from each level of
// the memory, and what the same floats cost when they are 4096 bytes apart, as in the column of a
// matrix of 1024 columns. Sizes of the levels: lscpu. Prints one line for each.
#include "measure.h"

namespace {

using study::Index;

typedef float Vector __attribute__((vector_size(32)));

// The sum of `count` floats, `repeats` times over; eight sums, so that no load waits for an
// addition.
STUDY_AVX2 float sum_of(const float* x, Index count, Index repeats) {
  Vector sums[8] = {};
  for (Index repeat = 0; repeat < repeats; ++repeat) {
    asm volatile("" : "+r"(x) : : "memory");  // read again what was read before
    for (Index i = 0; i < count; i += 64)
#pragma GCC unroll 8
      for (Index v = 0; v < 8; ++v) sums[v] += *reinterpret_cast<const Vector*>(x + i + v * 8);
  }
  float total = 0;
  for (const Vector& sum : sums)
    for (int i = 0; i < 8; ++i) total += sum[i];
  return total;
}

volatile float result;  // what is not used is not computed

double gigabytes_per_second(Index bytes) {
  const study::Array x = study::random_array(bytes / 4, 1);
  const Index repeats = std::max<Index>(1, (64 << 20) / bytes);
  const double seconds =
      study::least_seconds([&] { result = sum_of(x.get(), bytes / 4, repeats); });
  return static_cast<double>(bytes * repeats) / seconds * 1e-9;
}

// Nanoseconds for each element down the columns of a square matrix of `size` rows.
double nanoseconds_down(Index size) {
  const study::Array x = study::random_array(size * size, 1);
  const double seconds = study::least_seconds([&] {
    float total = 0;
    for (Index column = 0; column < size; ++column)
      for (Index row = 0; row < size; ++row) total += x[row * size + column];
    result = total;
  });
  return seconds / static_cast<double>(size * size) * 1e9;
}

}  // namespace

int main(int argc, char** argv) {
  const study::Arguments arguments = study::parse(argc, argv);
  if (study::skipped("machine", study::Needs::avx2)) return 0;
  const study::Array ones(1 << 12);
  std::fill_n(ones.get(), 1 << 12, 1.0f);
  if (sum_of(ones.get(), 1 << 12, 3) != 3 * 4096.0f) return 1;
  if (arguments.check) return std::printf("machine: right\n"), 0;
  std::printf("multiply-adds in registers, 1 thread: %.0f GFLOP/s\n", study::measured_peak(1));
  std::printf("multiply-adds in registers, %d threads: %.0f GFLOP/s\n", arguments.threads,
              study::measured_peak(arguments.threads));
  std::printf("reads of 16 KB (L1): %.0f GB/s\n", gigabytes_per_second(16 << 10));
  std::printf("reads of 512 KB (L2): %.0f GB/s\n", gigabytes_per_second(512 << 10));
  std::printf("reads of 4 MB (L3): %.0f GB/s\n", gigabytes_per_second(4 << 20));
  std::printf("reads of 256 MB (memory): %.0f GB/s\n", gigabytes_per_second(256 << 20));
  std::printf("down the columns of a 1024 x 1024 matrix: %.1f ns an element\n",
              nanoseconds_down(1024));
  return 0;
}
