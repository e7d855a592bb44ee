// What tests may ask of the emulated libraries.
#pragma once

#include <string>

namespace emulated {

// As a library may: refuses what the vendor's documentation does not promise, and makes NaN 0 in its
// own ReLU.
struct LibraryManners {
  bool refuses_epilogues = false;     // cuBLASLt: no algorithm with a bias or a ReLU
  bool refuses_products = false;      // cuBLASLt: no algorithm at all
  bool relu_drops_nan = false;        // both
  bool refuses_convolutions = false;  // cuDNN: no algorithm for any shape
  bool refuses_fused = false;         // cuDNN: cudnnConvolutionBiasActivationForward
  bool fails_at_run = false;          // cuDNN: what it offered is not supported after all
  int hungry = -1;                    // cuDNN: this algorithm wants 2 GiB to work in; -1 for none
  int broken = -1;                    // cuDNN: this algorithm ends in an error; -1 for none
  // cuDNN: this algorithm is the fastest by far; the others wait. -1 for none.
  int fastest = -1;
};
// For all streams and threads; reset() in emulated.h does not touch it.
void set_library_manners(const LibraryManners& manners);
const LibraryManners& library_manners();

// How often the libraries were asked since the start of the program.
struct LibraryCounts {
  long products = 0, products_heuristics = 0;
  long convolutions = 0, convolution_heuristics = 0, fused_convolutions = 0;
  int last_convolution = -1;  // its algorithm
};
LibraryCounts& library_counts();

// A number rounded as tensor cores read it.
float to_tf32(float x);
float from_bf16(unsigned short bits);
unsigned short to_bf16(float x);

}  // namespace emulated
