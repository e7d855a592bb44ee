// Pictures: PNG and base64, checked by reading them back with another library's decoder.
#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <vector>

#include "kernels/check.h"
#include "tools/report/picture.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-compare"
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

using namespace understudy;
using namespace understudy::report;

namespace {

Picture noise(int width, int height, int channels) {
  Picture picture{width, height, channels, {}};
  std::uint32_t state = 12345;
  for (int i = 0; i < width * height * channels; ++i) {
    state = state * 1664525u + 1013904223u;
    picture.pixels.push_back(static_cast<std::uint8_t>(state >> 24));
  }
  return picture;
}

std::vector<std::uint8_t> bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

}  // namespace

TEST_SUITE("report") {
  TEST_CASE("a PNG decodes to the same pixels") {
    for (const int channels : {1, 3})
      for (const auto& [width, height] : {std::pair{28, 28}, {32, 32}, {1, 1}, {3, 50}, {200, 1}}) {
        const Picture picture = noise(width, height, channels);
        const std::vector<std::uint8_t> file = png(picture);
        int w = 0, h = 0, c = 0;
        stbi_uc* decoded =
            stbi_load_from_memory(file.data(), static_cast<int>(file.size()), &w, &h, &c, 0);
        REQUIRE(decoded != nullptr);
        CHECK(w == width);
        CHECK(h == height);
        CHECK(c == channels);
        CHECK(std::equal(picture.pixels.begin(), picture.pixels.end(), decoded));
        stbi_image_free(decoded);
      }
  }

  TEST_CASE("a picture whose sizes and pixels disagree is refused") {
    CHECK_THROWS_AS(png({2, 2, 1, {1, 2, 3}}), Error);
    CHECK_THROWS_AS(png({0, 0, 1, {}}), Error);
    CHECK_THROWS_AS(png({1, 1, 2, {1, 2}}), Error);
  }

  TEST_CASE("base64 of RFC 4648") {
    const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                           {"f", "Zg=="},
                                                           {"fo", "Zm8="},
                                                           {"foo", "Zm9v"},
                                                           {"foob", "Zm9vYg=="},
                                                           {"fooba", "Zm9vYmE="},
                                                           {"foobar", "Zm9vYmFy"}};
    for (const auto& [text, expected] : vectors) CHECK(base64(bytes_of(text)) == expected);
    CHECK(base64(std::vector<std::uint8_t>{0xfb, 0xff, 0xfe}) == "+//+");
    CHECK(base64(std::vector<std::uint8_t>{0, 0, 0, 0}) == "AAAAAA==");
  }

  TEST_CASE("a data URI is the PNG in base64") {
    const std::string uri = data_uri(noise(4, 4, 1));
    const std::string head = "data:image/png;base64,iVBORw0KGgo";  // the PNG signature
    CHECK(uri.substr(0, head.size()) == head);
  }

  TEST_CASE("values are mapped from their range to black and white") {
    const std::vector<float> values = {-2, -1, 0, 2, 5, std::numeric_limits<float>::quiet_NaN()};
    const Picture picture = picture_of(values, 6, 1, 1, -2, 2);
    CHECK(picture.pixels == std::vector<std::uint8_t>{0, 64, 128, 255, 255, 0});
    const std::vector<float> equal = {3, 3};
    CHECK(picture_of(equal, 2, 1, 1, 3, 3).pixels == std::vector<std::uint8_t>{128, 128});
  }
}
