// Pictures: every kind that is read, what is refused, and resizing. The files are the fuzz
// target's corpus, made by tests/fuzz/make_image_folder_corpus.py.
#include "datasets/image_file.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

#include "datasets/byte_reader.h"
#include "datasets/digest.h"
#include "datasets/resize.h"
#include "tests/datasets_files.h"

using namespace understudy;
using namespace understudy::testing;
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t H = 7, W = 9;

const fs::path corpus = fs::path(UNDERSTUDY_TEST_FILES) / "fuzz/corpus/image_folder";

// What the corpus's files show.
int value(std::int64_t y, std::int64_t x, std::int64_t c) {
  return static_cast<int>(10 + 11 * x + 8 * y + 45 * c);
}
int grey_of(int r, int g, int b) { return (77 * r + 150 * g + 29 * b) / 256; }

// The largest difference from want(y, x, c); 1000 when the size is another one.
template <class Want>
int worst_difference(const Image& image, std::int64_t channels, const Want& want) {
  if (image.height != H || image.width != W || image.channels != channels ||
      std::ssize(image.pixels) != H * W * channels)
    return 1000;
  int worst = 0;
  for (std::int64_t y = 0; y < H; ++y)
    for (std::int64_t x = 0; x < W; ++x)
      for (std::int64_t c = 0; c < channels; ++c) {
        const int found = image.pixels[static_cast<std::size_t>((y * W + x) * channels + c)];
        worst = std::max(worst, std::abs(found - want(y, x, c)));
      }
  return worst;
}

std::string refusal(const std::string& file) {
  const std::string path = (corpus / file).string();
  const std::string text = error_of([&] { read_image(corpus / file, 3); });
  // Every message names the file first.
  CHECK(text.starts_with(path + ": "));
  return text.substr(std::min(text.size(), path.size() + 2));
}

Image patterned(std::int64_t height, std::int64_t width, std::int64_t channels) {
  Image image{height, width, channels, {}};
  std::uint32_t state = 7;
  for (std::int64_t i = 0; i < height * width * channels; ++i) {
    state = state * 1664525 + 1013904223;
    image.pixels.push_back(static_cast<std::uint8_t>(state >> 24));
  }
  return image;
}

}  // namespace

TEST_SUITE_BEGIN("datasets");

TEST_CASE("image: PNG and BMP of every kind, to the bit") {
  for (const char* file :
       {"rgb.png", "alpha.png", "deep.png", "palette.png", "palette_alpha.png", "interlaced.png",
        "two_parts.png", "rgb.bmp", "downwards.bmp", "palette.bmp"}) {
    INFO(file);
    CHECK(worst_difference(read_image(corpus / file, 3), 3, value) == 0);
    CHECK(worst_difference(read_image(corpus / file, 1), 1, [](auto y, auto x, auto) {
            return grey_of(value(y, x, 0), value(y, x, 1), value(y, x, 2));
          }) == 0);
  }
  for (const char* file : {"grey.png", "grey_alpha.png"}) {
    INFO(file);
    const auto grey = [](auto y, auto x, auto) { return value(y, x, 0); };
    CHECK(worst_difference(read_image(corpus / file, 1), 1, grey) == 0);
    CHECK(worst_difference(read_image(corpus / file, 3), 3, grey) == 0);
  }
  for (const char* file : {"one_bit.png", "one_bit.bmp"}) {
    INFO(file);
    CHECK(worst_difference(read_image(corpus / file, 3), 3,
                           [](auto y, auto x, auto) { return (y + x) % 2 ? 255 : 0; }) == 0);
  }
  CHECK(read_image(corpus / "interlaced_dot.png", 3).pixels == Bytes{1, 2, 3});
}

TEST_CASE("image: JPEG of every kind, as near as it gets") {
  for (const char* file : {"rgb.jpg", "progressive.jpg", "restarts.jpg", "cmyk.jpg"}) {
    INFO(file);
    CHECK(worst_difference(read_image(corpus / file, 3), 3, value) <= 3);
  }
  CHECK(worst_difference(read_image(corpus / "subsampled.jpg", 3), 3, value) <= 12);
  for (const char* file : {"rgb.jpg", "grey.jpg"})
    CHECK(worst_difference(read_image(corpus / file, 1), 1, [](auto y, auto x, auto) {
            // Pillow's weights, of which stb's are roundings.
            return static_cast<int>(0.299 * value(y, x, 0) + 0.587 * value(y, x, 1) +
                                    0.114 * value(y, x, 2) + 0.5);
          }) <= 3);
  // Damage that leaves every code valid cannot be seen; it is the same image each time.
  CHECK(read_image(corpus / "damaged_scan.jpg", 3).pixels ==
        read_image(corpus / "damaged_scan.jpg", 3).pixels);
}

TEST_CASE("image: other formats are named") {
  CHECK(refusal("bad_picture.gif") == "expected a PNG, JPEG or BMP image, found a GIF");
  CHECK(refusal("bad_picture.webp") == "expected a PNG, JPEG or BMP image, found a WebP");
  CHECK(refusal("bad_text.txt") == "expected a PNG, JPEG or BMP image, found something else");
  CHECK(refusal("bad_empty") == "expected a PNG, JPEG or BMP image, found an empty file");
  CHECK(refusal("bad_one_byte") == "expected a PNG, JPEG or BMP image, found something else");
  CHECK(refusal("none.png") == "expected a file, found none");
  const Bytes tiff = {'I', 'I', '*', 0, 8},
              avif = {0, 0, 0, 28, 'f', 't', 'y', 'p', 'a', 'v', 'i', 'f'};
  CHECK(error_of([&] { read_image(tiff, "x", 3); }) ==
        "x: expected a PNG, JPEG or BMP image, found a TIFF");
  CHECK(error_of([&] { read_image(avif, "x", 3); }) ==
        "x: expected a PNG, JPEG or BMP image, found an AVIF");
  CHECK(error_of([&] { read_image(corpus / "rgb.png", 2); }) ==
        "[read_image] expected 1 or 3 channels, found 2");
}

TEST_CASE("image: sizes beyond the limits are refused before they are decoded") {
  const std::string limits =
      "expected an image of at most 16384 pixels a side and 67108864 in all, found ";
  CHECK(refusal("bad_huge.png") == limits + "60000x60000");
  CHECK(refusal("bad_large.png") == limits + "16384x16384");
  CHECK(refusal("bad_giant.png") == limits + "4294967295x4294967295");
  CHECK(refusal("bad_huge.jpg") == limits + "65500x65500");
  CHECK(refusal("bad_huge.bmp") == limits + "70000x7");
  CHECK(refusal("bad_most_negative.bmp") == limits + "9x2147483648");
  CHECK(refusal("bad_negative_width.bmp") == limits + "-9x7");
  CHECK(refusal("bad_no_pixels.png") == "expected an image of at least 1x1 pixels, found 0x7");
  CHECK(refusal("bad_empty_size.jpg") == "expected an image that can be decoded, found: 0 width");
  // Small files that claim more than they can hold.
  CHECK(refusal("bad_bomb.png") == "expected 2 bytes of PNG image data, found more");
  CHECK(contains(refusal("bad_claim.jpg"), "bytes for 64000000 pixels"));
  CHECK(contains(refusal("bad_claim.bmp"), "bytes for 64000000 pixels"));
}

TEST_CASE("image: damaged PNG") {
  CHECK(contains(refusal("bad_cut.png"), "bytes in its PNG chunk IDAT, found the end of the file"));
  CHECK(contains(refusal("bad_no_end.png"), "expected whole PNG chunks up to IEND, found the end"));
  CHECK(contains(refusal("bad_checksum.png"), "of its PNG chunk IDAT, found 0x"));
  CHECK(contains(refusal("bad_length.png"), "expected 2147483647 bytes in its PNG chunk IDAT"));
  CHECK(contains(refusal("bad_chunk_name.png"), "expected a PNG chunk at byte 33"));
  CHECK(refusal("bad_no_header.png") ==
        "expected one PNG header (IHDR), and first, found IDAT at byte 8");
  CHECK(refusal("bad_two_headers.png") ==
        "expected one PNG header (IHDR), and first, found IHDR at byte 33");
  CHECK(refusal("bad_header_size.png") == "expected a PNG header of 13 bytes, found 12");
  CHECK(contains(refusal("bad_critical.png"), "found CgBI at byte 8"));
  CHECK(refusal("bad_critical_late.png") ==
        "expected the critical chunks of the PNG standard, found ABCD");
  CHECK(refusal("bad_colour.png") == "expected a PNG colour type of 0, 2, 3, 4 or 6, found 5");
  CHECK(refusal("bad_depth.png") == "expected 1, 2, 4, 8 or 16 bits a channel, found 3");
  CHECK(refusal("bad_interlace.png") == "expected a PNG interlace method of 0 or 1, found 2");
  CHECK(refusal("bad_no_data.png") == "expected PNG image data (IDAT), found none");
  CHECK(contains(refusal("bad_zlib.png"), "expected 196 bytes of PNG image data, found "));
  CHECK(contains(refusal("bad_adler.png"), "found damage after 196 (incorrect data check)"));
  CHECK(refusal("bad_short_data.png") == "expected 196 bytes of PNG image data, found 195");
  CHECK(refusal("bad_long_data.png") == "expected 196 bytes of PNG image data, found more");
  CHECK(refusal("bad_filter.png") ==
        "expected an image that can be decoded, found: invalid filter");
  CHECK(refusal("bad_no_palette.png") == "expected an image that can be decoded, found: no PLTE");
}

TEST_CASE("image: damaged JPEG and BMP") {
  const std::string end = "expected a whole image, found the end of the file";
  for (const char* file : {"bad_cut.jpg", "bad_cut_header.jpg", "bad_no_end.jpg", "bad_cut.bmp",
                           "bad_cut_header.bmp"}) {
    INFO(file);
    CHECK(refusal(file) == end);
  }
  CHECK(refusal("bad_no_scan.jpg") ==
        "expected a whole image, found a JPEG header without image data");
  CHECK(refusal("bad_codes.jpg") ==
        "expected JPEG code tables of at most 256 codes, found 0 codes in 16 bytes");
  CHECK(refusal("bad_many_codes.jpg") ==
        "expected JPEG code tables of at most 256 codes, found 510 codes in 527 bytes");
  CHECK(contains(refusal("bad_segment.jpg"), "expected a JPEG segment of 2 bytes or more at byte"));
  CHECK(refusal("bad_table.jpg") == "expected an image that can be decoded, found: bad DQT type");
  CHECK(refusal("bad_compressed.bmp") == "expected an image that can be decoded, found: BMP RLE");
  CHECK(refusal("bad_bits.bmp") == "expected an image that can be decoded, found: invalid");
  CHECK(refusal("bad_offset.bmp") == "expected an image that can be decoded, found: bad offset");
}

TEST_CASE("image: a file cut anywhere is refused") {
  for (const char* file : {"rgb.png", "interlaced.png", "rgb.jpg", "progressive.jpg",
                           "restarts.jpg", "rgb.bmp", "downwards.bmp", "palette.bmp"}) {
    ByteReader reader = ByteReader::open(corpus / file);
    const Bytes whole = reader.read_up_to(1 << 20);
    std::size_t accepted = 0;
    for (std::size_t length = 0; length < whole.size(); ++length)
      accepted += error_of([&] { read_image(std::span(whole).first(length), "cut", 3); }).empty();
    INFO(file);
    CHECK(accepted == 0);
  }
}

TEST_CASE("resize: the bytes that Pillow makes") {
  Image image{7, 9, 3, {}};
  for (int y = 0; y < 7; ++y)
    for (int x = 0; x < 9; ++x) {
      const int n = 9 * y + x;
      for (const int v : {37 * n + 11 * x * y, 91 * n, n * n})
        image.pixels.push_back(static_cast<std::uint8_t>(v % 256));
    }
  CHECK(resize(image, 3, 4).pixels == Bytes{94,  108, 63,  121, 119, 101, 132, 146, 106,
                                            117, 124, 69,  132, 148, 98,  134, 122, 141,
                                            143, 121, 103, 122, 118, 130, 138, 142, 130,
                                            115, 120, 109, 133, 147, 116, 86,  124, 118});
  CHECK(resize(image, 1, 1).pixels == Bytes{126, 127, 110});
  // PIL.Image.resize((width, height), BILINEAR) of 13.0, by the digest of its bytes; rows first, as
  // Pillow itself does but for 3x20.
  struct Case {
    std::int64_t height, width;
    const char* digest;
  };
  for (const Case& c :
       {Case{8, 13, "5feac7aa0fc82c92460536b5dd94be7a574843ba58c7d73bc1e7a4ccaad0ed01"},
        Case{2, 9, "b47f871c1e486c3c10d66dcb84400b047c55b213dd81b61ff366096c60c077a3"},
        Case{7, 5, "cf5ecba4a0657f2c354e3f2dd7d00b1909de21cac0553d1e62dfc0a872702646"},
        Case{3, 20, "bd9578e98568c6da23bf4e4cb94becffb9e9a0db1a88343142aeddc40c0c4107"},
        Case{32, 32, "b3ea79a8a896bffa7f1728279711add2d999f73c5bac500a0d6e9237a91d5d11"}}) {
    INFO(fmt::format("{}x{}", c.height, c.width));
    CHECK(sha256({resize(image, c.height, c.width).pixels}) == c.digest);
  }
  CHECK(sha256({resize(patterned(75, 100, 3), 32, 32).pixels}) ==
        "37d6d4e0ddb9d2269c5572c950ac4cd5bccb2abcff38fda5077e44a3e5f792ea");
  CHECK(sha256({resize(patterned(75, 100, 1), 28, 30).pixels}) ==
        "663430ab1034be8d81f39747d4bace33a7fd50351b33a81e9cc5fcbb7905b7cf");
}

TEST_CASE("resize: the same size is the same image, one colour stays one") {
  const Image image = patterned(13, 8, 3);
  CHECK(resize(image, 13, 8).pixels == image.pixels);
  for (const int colour : {0, 1, 127, 254, 255}) {
    const Image flat{5, 11, 1, Bytes(55, static_cast<std::uint8_t>(colour))};
    for (const std::int64_t side : {1, 2, 5, 17, 64})
      CHECK(resize(flat, side, side).pixels ==
            Bytes(static_cast<std::size_t>(side * side), static_cast<std::uint8_t>(colour)));
  }
  CHECK_THROWS_AS(resize(image, 0, 8), Error);
}

TEST_SUITE_END();
