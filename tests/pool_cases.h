// The shapes that pooling is tried on, on every backend.
#pragma once

#include "kernels/backend.h"
#include "kernels/conv2d.h"
#include "kernels/view.h"

namespace understudy::testing {

struct PoolCase {
  Dims x;  // (N, H, W, C)
  Pool2d pool;

  Dims y() const {
    const auto& [window, stride, padding] = pool;
    return {x[0], window_count(x[1], window.height, stride.height, padding.height, 1),
            window_count(x[2], window.width, stride.width, padding.width, 1), x[3]};
  }
};

inline const PoolCase pool_cases[] = {
    {Dims{1, 1, 1, 1}, {.window = 1}},
    {Dims{2, 4, 6, 3}, {.window = 2}},
    {Dims{2, 5, 7, 16}, {.window = 3, .stride = 2, .padding = 1}},
    {Dims{1, 6, 5, 33}, {.window = {2, 3}, .stride = {1, 2}}},
    {Dims{3, 2, 9, 70}, {.window = {2, 5}, .stride = {3, 4}, .padding = {1, 2}}},
    {Dims{0, 4, 4, 3}, {.window = 2}},
    {Dims{2, 3, 3, 0}, {.window = 2}},
    {Dims{2, 7, 7, 8}, {.window = 2, .stride = 3}},  // pixels that no window sees
    {Dims{3, 8, 8, 40}, {.window = 8}},              // of the whole image
    {Dims{3, 17, 16, 130}, {.window = 3, .stride = 2, .padding = 1}},
    // So many results that a thread has four channels, and one channel too many for that.
    {Dims{2, 33, 33, 128}, {.window = 2, .stride = 1}},
    {Dims{2, 33, 33, 129}, {.window = 2, .stride = 1}},
    {Dims{1, 66, 66, 64}, {.window = 3, .stride = {1, 2}, .padding = 1}}};

}  // namespace understudy::testing
