#include "tools/report/pictures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <span>

#include "tools/report/markup.h"
#include "tools/report/picture.h"

namespace understudy::report {
namespace {

struct Range {
  float low = 0, high = 0;
};

// Of the finite values; 0 to 0 when there are none.
Range range_of(std::span<const float> values) {
  Range range{std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()};
  for (const float value : values)
    if (std::isfinite(value)) range = {std::min(range.low, value), std::max(range.high, value)};
  return range.low <= range.high ? range : Range{};
}

// Three figures, with a minus that is as wide as a digit.
std::string figures(float value) {
  return fmt::format("{}{:.3g}", value < 0 ? "−" : "", std::abs(value));
}

std::string unit(const Picture& picture, const std::string& caption, bool parity) {
  return fmt::format(R"(<figure class="unit{}"><img src="{}" width="{}" height="{}" alt="{}">)"
                     R"(<figcaption>{}</figcaption></figure>)",
                     parity ? " parity" : "", data_uri(picture), picture.width, picture.height,
                     escape(caption), escape(caption));
}

}  // namespace

std::string parity_pictures(const Run& run, int most) {
  if (!run.samples) return "";
  const Samples& samples = *run.samples;
  const Shape shape = samples.inputs.shape();
  const auto k = shape[1], r = samples.parities.size(1);
  const int height = static_cast<int>(shape[2]), width = static_cast<int>(shape[3]),
            channels = static_cast<int>(shape[4]);
  const auto groups = std::min<std::int64_t>(most, shape[0]);
  const auto pixels = static_cast<std::size_t>(shape[2] * shape[3] * shape[4]);

  const std::vector<std::uint8_t> inputs = samples.inputs.to_vector<std::uint8_t>();
  const std::vector<float> parities = samples.parities.to_vector<float>();
  std::vector<std::int64_t> labels;
  if (samples.labels.defined()) labels = samples.labels.to_vector<std::int64_t>();
  const std::span shown(parities.data(), static_cast<std::size_t>(groups * r) * pixels);
  const Range range = range_of(shown);

  std::string out = R"(<div class="groups">)";
  for (std::int64_t g = 0; g < groups; ++g) {
    out += R"(<div class="group">)";
    for (std::int64_t i = g * k; i < (g + 1) * k; ++i) {
      const auto begin = inputs.begin() + i * static_cast<std::int64_t>(pixels);
      const Picture picture{
          width, height, channels, {begin, begin + static_cast<std::int64_t>(pixels)}};
      out += unit(picture,
                  labels.empty() ? fmt::format("input {}", i - g * k + 1)
                                 : fmt::format("label {}", labels[static_cast<std::size_t>(i)]),
                  false);
    }
    out += R"(<span aria-hidden="true">→</span>)";
    for (std::int64_t p = g * r; p < (g + 1) * r; ++p)
      out += unit(picture_of(shown.subspan(static_cast<std::size_t>(p) * pixels, pixels), width,
                             height, channels, range.low, range.high),
                  r == 1 ? "parity" : fmt::format("parity {}", p - g * r + 1), true);
    out += "</div>";
  }
  out += "</div>";
  fmt::format_to(
      std::back_inserter(out),
      R"(<p class="note">{} of the {} groups kept, test images of {}×{} pixels. Inputs: black is 0, )"
      R"(white is 255. Parities: black is {}, white is {}, the smallest and the largest value among )"
      R"(those shown{}.</p>)",
      groups, shape[0], width, height, figures(range.low), figures(range.high),
      channels == 3 ? ", for each colour channel" : "");
  return out;
}

}  // namespace understudy::report
