// The safetensors reader and writer: round trips, exact bytes, and one line of text for every kind
// of malformed file. The exchange with the Python package is tests/interop/.
#include "engine/safetensors.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/autograd.h"
#include "engine/ops.h"
#include "kernels/check.h"
#include "tests/error_text.h"
#include "tests/temporary_folder.h"

namespace fs = std::filesystem;
using namespace understudy;
using understudy::testing::error_text;

namespace {

std::vector<std::byte> file_bytes(const std::string& header, const std::string& data = "") {
  const std::uint64_t length = header.size();
  std::string all(8, '\0');
  std::memcpy(all.data(), &length, 8);
  all += header + data;
  const auto bytes = std::as_bytes(std::span(all));
  return {bytes.begin(), bytes.end()};
}

Safetensors parse(const std::string& header, const std::string& data = "") {
  return parse_safetensors(file_bytes(header, data), "FILE");
}

std::string parse_error(const std::string& header, const std::string& data = "") {
  const std::string message = error_text([&] { parse(header, data); });
  CHECK(message.starts_with("FILE: "));
  CHECK(message.find('\n') == message.npos);
  return message;
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":{}}})", name, dtype, shape,
                     offsets);
}

// A header of these entries.
std::string header(const std::vector<std::string>& entries) {
  return fmt::format("{{{}}}", fmt::join(entries, ","));
}

template <class T>
void check_bits(const Tensor& found, const std::vector<T>& expected, const Shape& shape) {
  REQUIRE(found.dtype() == dtype_of<T>);
  REQUIRE(found.shape() == shape);
  REQUIRE(static_cast<std::size_t>(found.count()) == expected.size());
  if (!expected.empty())
    CHECK(std::memcmp(found.data<T>().data(), expected.data(), expected.size() * sizeof(T)) == 0);
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("safetensors: every type, scalars, empty tensors and metadata survive bit for bit") {
    const std::vector<float> f32{1.5f,   -0.0f,     std::bit_cast<float>(0x7f800001u),
                                 1e-45f, -INFINITY, 3};
    const std::vector<double> f64{0.1, -1e300, std::numeric_limits<double>::denorm_min()};
    const std::vector<std::int64_t> i64{std::numeric_limits<std::int64_t>::min(), 9007199254740993};
    const std::vector<std::int32_t> i32{std::numeric_limits<std::int32_t>::min(), 7};
    const std::vector<std::uint8_t> u8{0, 127, 255};
    Safetensors s;
    s.metadata = {
        {"format", "pt"}, {"", "empty key"}, {"text", "\"\\\n\t\x01 \xc3\xbc \xf0\x9f\x8e\xad"}};
    s.tensors = {{"u8", Tensor::from(u8, {3})},
                 {"f32", Tensor::from(f32, {2, 3})},
                 {"f64", Tensor::from(f64, {3, 1})},
                 {"i64", Tensor::from(i64, {2})},
                 {"i32", Tensor::from(i32, {1, 2, 1})},
                 {"scalar", Tensor::from(std::vector<double>{2.5}, {})},
                 {"empty", Tensor::zeros({0, 3})},
                 {"\xc3\xbc/\"q\"\n", Tensor::from(u8, {3})}};
    const TemporaryFolder folder;
    const fs::path path = folder.path() / "all.safetensors";
    write_safetensors(path, s);
    for (const Safetensors& read :
         {read_safetensors(path), parse_safetensors(format_safetensors(s), "memory")}) {
      CHECK(read.metadata == s.metadata);
      REQUIRE(read.tensors.size() == s.tensors.size());
      check_bits(read.at("u8"), u8, {3});
      check_bits(read.at("f32"), f32, {2, 3});
      check_bits(read.at("f64"), f64, {3, 1});
      check_bits(read.at("i64"), i64, {2});
      check_bits(read.at("i32"), i32, {1, 2, 1});
      check_bits(read.at("scalar"), std::vector<double>{2.5}, {});
      check_bits(read.at("empty"), std::vector<float>{}, {0, 3});
      check_bits(read.at("\xc3\xbc/\"q\"\n"), u8, {3});
      CHECK(read.find("none") == nullptr);
      CHECK(error_text([&] { read.at("none"); }).find("scalar") != std::string::npos);
    }
  }

  TEST_CASE("safetensors: written as the reference writes") {
    Safetensors s;
    s.metadata = {{"k", "v"}};
    s.tensors = {{"b", Tensor::from(std::vector<std::uint8_t>{1, 2}, {2})},
                 {"z", Tensor::from(std::vector<float>{1}, {})},
                 {"a", Tensor::from(std::vector<float>{2}, {1})}};
    const std::vector<std::byte> bytes = format_safetensors(s);
    const std::string text =
        "{\"__metadata__\":{\"k\":\"v\"},\"a\":{\"dtype\":\"F32\",\"shape\":[1],"
        "\"data_offsets\":[0,4]},\"z\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[4,8]},"
        "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[8,10]}}";
    const std::string padding((8 - text.size() % 8) % 8, ' ');
    CHECK(bytes == file_bytes(text + padding, std::string("\0\0\0\x40\0\0\x80\x3f\x01\x02", 10)));
  }

  TEST_CASE("safetensors: strided tensors and parameters that gradients flow to") {
    const Tensor x = Tensor::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3});
    Tensor parameter = clone(x);
    parameter.set_requires_grad(true);
    const Safetensors read = parse_safetensors(
        format_safetensors({{{"t", transpose(x)}, {"p", parameter}, {"y", parameter * 2.0}}, {}}),
        "memory");
    check_bits(read.at("t"), std::vector<float>{1, 4, 2, 5, 3, 6}, {3, 2});
    check_bits(read.at("p"), std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3});
    check_bits(read.at("y"), std::vector<float>{2, 4, 6, 8, 10, 12}, {2, 3});
    CHECK(!read.at("p").requires_grad());
  }

  TEST_CASE("safetensors: 16-bit floats are widened exactly") {
    // Against the definition: (-1)^s · 2^(e-15) · (1 + m/1024), 2^-14 · m/1024 for e = 0.
    std::string data(3 * 65536 * 2, '\0');  // more than one piece of the reader
    for (std::size_t i = 0; i < data.size() / 2; ++i) {
      const auto half = static_cast<std::uint16_t>(i);
      std::memcpy(data.data() + 2 * i, &half, 2);
    }
    for (const std::string type : {"F16", "BF16"}) {
      const int mantissa_bits = type == "F16" ? 10 : 7;
      const int bias = type == "F16" ? 15 : 127;
      const int top = type == "F16" ? 31 : 255;
      const Safetensors s = parse(header({entry("x", type, "[3,65536]", "[0,393216]")}), data);
      const std::span<const float> found = s.at("x").data<float>();
      std::size_t wrong = 0;
      for (std::size_t i = 0; i < found.size(); ++i) {
        const int bits = static_cast<int>(i & 0xffff);
        const int exponent = bits >> mantissa_bits & top;
        const int mantissa = bits & ((1 << mantissa_bits) - 1);
        const double sign = bits & 0x8000 ? -1 : 1;
        const double fraction = std::ldexp(mantissa, -mantissa_bits);
        double expected = sign * std::ldexp(1 + fraction, exponent - bias);
        if (exponent == 0) expected = sign * std::ldexp(fraction, 1 - bias);
        if (exponent == top) expected = mantissa ? NAN : sign * INFINITY;
        const bool same = std::isnan(expected)
                              ? std::isnan(found[i])
                              : found[i] == expected && std::signbit(found[i]) == (sign < 0);
        wrong += !same;
      }
      CHECK(wrong == 0);
    }
  }

  TEST_CASE("safetensors: messages say what was expected and what was found") {
    const std::string f32 = "F32";
    CHECK(error_text([] { parse_safetensors({}, "FILE"); }) ==
          "FILE: expected a safetensors file, found only 0 bytes");
    CHECK(parse_error("") == "FILE: expected a header that starts with '{', found \"\"");
    CHECK(parse_error("{\"a\":1}") == "FILE: expected an object for \"a\", found a number");
    CHECK(
        parse_error(header({entry("a", "F8", "[]", "[0,1]")}), "x") ==
        "FILE: tensor \"a\": expected the dtype F64, F32, F16, BF16, I64, I32 or U8, found \"F8\"");
    CHECK(parse_error(header({entry("a", f32, "[2,3]", "[0,20]")}), std::string(20, 'x')) ==
          "FILE: tensor \"a\": F32 of shape (2,3) needs 24 bytes, its offsets [0, 20] hold 20");
    CHECK(parse_error(header({entry("a", f32, "[2]", "[0,8]")}), "1234") ==
          "FILE: tensor \"a\": expected offsets within the 4 bytes of data, found [0, 8]");
    CHECK(parse_error(header({entry("a", f32, "[1]", "[0,4]")}), "12345") ==
          "FILE: expected 4 bytes of data after the header, found 5");
    CHECK(parse_error(
              header({entry("a", f32, "[1]", "[0,4]") + "," + entry("b", f32, "[1]", "[2,6]")}),
              "123456") == "FILE: tensor \"b\": expected its data at byte 4, found 2 (an overlap)");
    CHECK(parse_error(header({entry("a", "U8", "[1,1,1,1,1,1,1]", "[0,1]")}), "1") ==
          "FILE: tensor \"a\": expected at most 6 axes, found more");
    CHECK(parse_error("{\"a\":{\"shape\":[],\"data_offsets\":[0]}}") ==
          "FILE: tensor \"a\": expected dtype, shape and two data_offsets, found no dtype, a shape "
          "and 1 data_offsets");
    // A name made to spoil the terminal or the log is shown escaped and cut.
    const std::string name = "\\u001b[31m" + std::string(5000, 'n');
    const std::string message = parse_error(header({entry(name, f32, "[1]", "[0,4]")}));
    CHECK(message.size() < 400);
    CHECK(message.find('\x1b') == message.npos);
  }

  TEST_CASE("safetensors: the corpus of the fuzzer is read or refused as its names say") {
    int valid = 0, bad = 0;
    const fs::path corpus = fs::path(UNDERSTUDY_TEST_FILES) / "fuzz" / "corpus" / "safetensors";
    for (const auto& file : fs::directory_iterator(corpus)) {
      const std::string name = file.path().filename().string();
      CAPTURE(name);
      const std::string message = error_text([&] { read_safetensors(file.path()); });
      if (name.starts_with("valid_")) CHECK(message == "(no error)");
      if (name.starts_with("bad_")) {
        CHECK(message.starts_with(file.path().string() + ": "));
        CHECK(message.find('\n') == message.npos);
      }
      valid += name.starts_with("valid_");
      bad += name.starts_with("bad_");
    }
    CHECK(valid >= 8);
    CHECK(bad >= 40);
  }

  TEST_CASE("safetensors: sizes that a file only claims are not allocated") {
    const auto before = allocator_statistics({}).peak_bytes_in_use;
    for (const char* shape :
         {"[1099511627776]", "[2147483648,2147483648]", "[18446744073709551615]",
          "[9223372036854775807,9223372036854775807,4]"}) {
      parse_error(header({entry("a", "F32", shape, "[0,4398046511104]")}), "1234");
      parse_error(header({entry("a", "F32", shape, "[0,4]")}), "1234");
    }
    CHECK(allocator_statistics({}).peak_bytes_in_use == before);
  }

  TEST_CASE("safetensors: places that cannot be read are named") {
    const TemporaryFolder folder;
    const auto error = [&](const fs::path& path) {
      return error_text([&] { read_safetensors(path); });
    };
    CHECK(error(folder.path() / "none") == (folder.path() / "none").string() + ": no such file");
    CHECK(error(folder.path()).ends_with("expected a regular file, found something else"));
  }

  TEST_CASE("safetensors: what cannot be written is refused, and the old file stays") {
    const TemporaryFolder folder;
    const fs::path path = folder.path() / "a.safetensors";
    const Tensor x = Tensor::zeros({2});
    write_safetensors(path, {{{"x", x}}, {}});
    const auto error = [&](const Safetensors& s) {
      const std::string message = error_text([&] { write_safetensors(path, s); });
      CHECK(read_safetensors(path).tensors.size() == 1);
      return message;
    };
    CHECK(error({{{"a", x}, {"a", x}}, {}}).ends_with("tensor \"a\" appears twice"));
    CHECK(error({{{"a", Tensor()}}, {}}).ends_with("tensor \"a\" is undefined"));
    CHECK(error({{{"__metadata__", x}}, {}}).ends_with("no tensor can be called \"__metadata__\""));
    CHECK(error({{{"\xff", x}}, {}}).find("UTF-8") != std::string::npos);
    CHECK(error({{}, {{"k", "\xff"}}}).find("UTF-8") != std::string::npos);
  }
}
