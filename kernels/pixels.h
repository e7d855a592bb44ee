// How bytes of images become numbers around 0, on the host and on the device.
#pragma once

#include <cstdint>

#include "kernels/host_device.h"

namespace understudy {

inline constexpr std::int64_t most_image_channels = 64;

// (byte / 255 - mean[c]) / std[c] as byte · scale[c] + shift[c].
template <class T>
struct PixelConstants {
  T scale[most_image_channels], shift[most_image_channels];
};

// mean and std: [channels], at most most_image_channels.
template <class T>
PixelConstants<T> pixel_constants(std::int64_t channels, const float* mean, const float* std) {
  PixelConstants<T> k = {};
  for (std::int64_t c = 0; c < channels; ++c) {
    const double m = mean[c], s = std[c];
    k.scale[c] = static_cast<T>(1.0 / (255.0 * s));
    k.shift[c] = static_cast<T>(-m / s);
  }
  return k;
}

template <class T>
UNDERSTUDY_HD T normalized(std::uint8_t byte, T scale, T shift) {
  return static_cast<T>(byte) * scale + shift;
}

}  // namespace understudy
