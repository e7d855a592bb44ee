// Any bytes, taken as a picture, either are refused with an Error or give as many pixels as the
// picture says, in grey and in colour, which can be resized.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "datasets/resize.h"
#include "kernels/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace understudy;
  for (const std::int64_t channels : {1, 3}) {
    try {
      const Image image = read_image(std::span(data, size), "input", channels);
      if (image.height < 1 || image.height > max_image_side || image.width < 1 ||
          image.width > max_image_side || image.channels != channels ||
          std::ssize(image.pixels) != image.height * image.width * channels)
        std::abort();
      if (resize(image, 8, 5).pixels.size() != static_cast<std::size_t>(8 * 5 * channels))
        std::abort();
    } catch (const Error&) {
    }
  }
  return 0;
}
