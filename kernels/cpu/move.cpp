#include <algorithm>
#include <cstring>
#include <type_traits>

#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/loops/loops.h"
#include "kernels/dispatch.h"
#include "kernels/parallel.h"
#include "kernels/pixels.h"
#include "kernels/strided.h"

namespace understudy::cpu {
namespace {

constexpr std::int64_t grain = 32768;  // elements for each thread

// A transposed copy goes by squares, each through a buffer: every cache line of either side is touched
// once, and strides of a power of two do not throw them out of the cache in between.
constexpr std::int64_t square = 16;

template <class T>
void copy_transposed(std::int64_t rows, std::int64_t columns, T* out, std::int64_t out_stride,
                     const T* in, std::int64_t in_stride) {
  const auto copy_square = [=](std::int64_t r, std::int64_t c) {
    const std::int64_t R = std::min(square, rows - r), C = std::min(square, columns - c);
    T buffer[square][square];
    for (std::int64_t j = 0; j < C; ++j)
      for (std::int64_t i = 0; i < R; ++i) buffer[j][i] = in[r + i + (c + j) * in_stride];
    for (std::int64_t i = 0; i < R; ++i)
      for (std::int64_t j = 0; j < C; ++j) out[(r + i) * out_stride + c + j] = buffer[j][i];
  };
  const std::int64_t bands = (rows + square - 1) / square;
  parallel_for(bands, std::max<std::int64_t>(1, grain / (square * columns)),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t band = begin; band < end; ++band)
                   for (std::int64_t c = 0; c < columns; c += square) copy_square(band * square, c);
               });
}

// Elements of one size are moved as integers of that size.
template <class T>
void copy_same(const Walk<2>& walk, void* to, const void* from) {
  T* const out = static_cast<T*>(to);
  const T* const in = static_cast<const T*>(from);
  const auto os = walk.inner_stride(0), is = walk.inner_stride(1);
  if (walk.rank == 2 && os == 1 && walk.strides[1][0] == 1 && is != 1)
    return copy_transposed(walk.shape[0], walk.shape[1], out, walk.strides[0][0], in, is);
  parallel_for(walk.count, grain, [&](std::int64_t begin, std::int64_t end) {
    for_each_row(walk, begin, end, [&](std::int64_t n, const std::int64_t(&at)[2]) {
      if (os == 1 && is == 1) {
        std::memcpy(out + at[0], in + at[1], static_cast<std::size_t>(n) * sizeof(T));
      } else {
        for (std::int64_t i = 0; i < n; ++i) out[at[0] + i * os] = in[at[1] + i * is];
      }
    });
  });
}

// An image (H, W, C) that is looked at with an offset and, perhaps, from right to left: see
// Backend::gather_images.
struct PlacedImage {
  const std::uint8_t* pixels;
  std::int64_t H, W, C, dy, dx;
  bool flip;

  // n pixels from number `first` on, counted row by row.
  void copy_pixels(std::int64_t first, std::int64_t n, std::uint8_t* out) const {
    for (std::int64_t p = first; p < first + n;) {
      const std::int64_t y = p / W, x = p % W, run = std::min(W - x, first + n - p);
      copy_run(y, x, run, out);
      out += run * C;
      p += run;
    }
  }

 private:
  // n pixels of row y, from column x on.
  void copy_run(std::int64_t y, std::int64_t x, std::int64_t n, std::uint8_t* out) const {
    const bool inside = y + dy >= 0 && y + dy < H;
    // Columns whose source lies in the image: 0 <= column + dx < W, or with the column mirrored.
    const std::int64_t begin = inside ? std::clamp(flip ? dx : -dx, x, x + n) : x;
    const std::int64_t end = inside ? std::clamp(flip ? W + dx : W - dx, begin, x + n) : x;
    const auto bytes = [&](std::int64_t columns) { return static_cast<std::size_t>(columns * C); };
    std::memset(out, 0, bytes(begin - x));
    std::memset(out + (end - x) * C, 0, bytes(x + n - end));
    if (begin == end) return;
    const std::uint8_t* const row = pixels + (y + dy) * W * C;
    std::uint8_t* const to = out + (begin - x) * C;
    if (!flip)
      std::memcpy(to, row + (begin + dx) * C, bytes(end - begin));
    else if (C == 1)
      std::reverse_copy(row + W + dx - end, row + W + dx - begin, to);
    else if (C == 3)
      copy_mirrored<3>(end - begin, row + (W - 1 - begin + dx) * 3, to);
    else
      for (std::int64_t i = 0; i < end - begin; ++i)
        std::memcpy(to + i * C, row + (W - 1 - begin - i + dx) * C, bytes(1));
  }

  // n pixels of `channels` bytes, the last of them first; `from` is the last.
  template <int channels>
  static void copy_mirrored(std::int64_t n, const std::uint8_t* from, std::uint8_t* to) {
    for (std::int64_t i = 0; i < n; ++i, to += channels, from -= channels)
      for (int c = 0; c < channels; ++c) to[c] = from[c];
  }
};

}  // namespace

void CpuBackend::fill(const View& out, double value) {
  const auto walk = make_walk<1>(out.shape, {&out.strides});
  with_any(out.dtype, [&]<class T>(Type<T>) {
    const T same = static_cast<T>(value);
    T* const to = out.as<T>();
    const auto stride = walk.inner_stride(0);
    parallel_for(walk.count, grain, [&](std::int64_t begin, std::int64_t end) {
      for_each_row(walk, begin, end, [&](std::int64_t n, const std::int64_t(&at)[1]) {
        if (stride == 1) {
          std::fill_n(to + at[0], n, same);
        } else {
          for (std::int64_t i = 0; i < n; ++i) to[at[0] + i * stride] = same;
        }
      });
    });
  });
}

void CpuBackend::copy(const View& out, const ConstView& in) {
  const auto walk = make_walk<2>(out.shape, {&out.strides, &in.strides});
  if (walk.count == 0) return;
  if (out.dtype == in.dtype) {
    switch (size_of(out.dtype)) {
      case 1:
        return copy_same<std::uint8_t>(walk, out.data, in.data);
      case 4:
        return copy_same<std::uint32_t>(walk, out.data, in.data);
      default:
        return copy_same<std::uint64_t>(walk, out.data, in.data);
    }
  }
  const auto loop = convert_loops().loop[static_cast<int>(out.dtype)][static_cast<int>(in.dtype)];
  char* const to = out.as<char>();
  const char* const from = in.as<char>();
  const auto out_size = static_cast<std::int64_t>(size_of(out.dtype));
  const auto in_size = static_cast<std::int64_t>(size_of(in.dtype));
  const auto os = walk.inner_stride(0), is = walk.inner_stride(1);
  parallel_for(walk.count, grain, [&](std::int64_t begin, std::int64_t end) {
    for_each_row(walk, begin, end, [&](std::int64_t n, const std::int64_t(&at)[2]) {
      loop(n, to + at[0] * out_size, os, from + at[1] * in_size, is);
    });
  });
}

void CpuBackend::gather_rows(const View& out, const ConstView& in, const ConstView& index) {
  const std::int64_t count = index.shape.count();
  if (count == 0 || out.shape.count() == 0) return;
  const std::int64_t columns = out.shape.count() / count;
  const std::size_t bytes = static_cast<std::size_t>(columns) * size_of(out.dtype);
  char* const to = out.as<char>();
  const char* const from = in.as<char>();
  const std::int64_t* const row = index.as<std::int64_t>();
  parallel_for(count, std::max<std::int64_t>(1, grain / columns),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i)
                   std::memcpy(to + static_cast<std::size_t>(i) * bytes,
                               from + static_cast<std::size_t>(row[i]) * bytes, bytes);
               });
}

// Rows may repeat, so threads share out the columns; each adds its own in the order of the index.
void CpuBackend::scatter_add_rows(const View& out, const ConstView& rows, const ConstView& index) {
  const std::int64_t count = index.shape.count();
  if (count == 0 || rows.shape.count() == 0) return;
  const std::int64_t columns = rows.shape.count() / count;
  const std::int64_t* const row = index.as<std::int64_t>();
  with_float(out.dtype, [&]<class T>(Type<T>) {
    const auto add = loops<T>().move->add;
    parallel_for(columns, std::max<std::int64_t>(64, grain / count),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = 0; i < count; ++i)
                     add(end - begin, out.as<T>() + row[i] * columns + begin,
                         rows.as<T>() + i * columns + begin);
                 });
  });
}

void CpuBackend::gather_images(const View& out, const ConstView& in, const ConstView& index,
                               const ConstView* placement, std::span<const float> mean,
                               std::span<const float> std) {
  const std::int64_t count = index.shape.count();
  const std::int64_t H = in.shape[1], W = in.shape[2], C = in.shape[3], P = H * W;
  check(C <= most_image_channels, "[gather_images] {}: images have at most {} channels",
        to_string(in.shape), most_image_channels);
  if (count == 0 || P * C == 0) return;
  const std::int64_t* const image = index.as<std::int64_t>();
  const std::int32_t* const place = placement ? placement->as<std::int32_t>() : nullptr;
  with_float(out.dtype, [&]<class T>(Type<T>) {
    const auto k = pixel_constants<T>(C, mean.data(), std.data());
    const auto loop = loops<T>().move->normalize_bytes;
    const auto gather = [&](std::int64_t i) {
      T* const to = out.as<T>() + i * P * C;
      const std::uint8_t* const from = in.as<std::uint8_t>() + image[i] * P * C;
      if (!place) return loop(P, C, to, from, k.scale, k.shift);
      std::uint8_t buffer[16384];
      const std::int64_t most = static_cast<std::int64_t>(sizeof buffer) / C;
      const PlacedImage placed{
          from, H, W, C, place[3 * i], place[3 * i + 1], place[3 * i + 2] != 0};
      for (std::int64_t p = 0; p < P; p += most) {
        const std::int64_t n = std::min(most, P - p);
        placed.copy_pixels(p, n, buffer);
        loop(n, C, to + p * C, buffer, k.scale, k.shift);
      }
    };
    parallel_for(count, std::max<std::int64_t>(1, grain / (P * C)),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin; i < end; ++i) gather(i);
                 });
  });
}

}  // namespace understudy::cpu
