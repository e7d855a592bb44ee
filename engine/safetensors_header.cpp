#include "engine/safetensors_header.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "kernels/check.h"

namespace understudy {
namespace {

using nlohmann::json;

constexpr SafetensorsType types[] = {
    {"F32", 4, DType::f32}, {"F64", 8, DType::f64}, {"F16", 2, DType::f32}, {"BF16", 2, DType::f32},
    {"I64", 8, DType::i64}, {"I32", 4, DType::i32}, {"U8", 1, DType::u8},
};

// Takes the events of the JSON parser, which keeps its own stack on the heap: no nesting in a file
// can exhaust ours, and none deeper than {"name": {"shape": [...]}} is accepted. Events, not a
// document, because a document would hide repeated keys.
class HeaderEvents : public nlohmann::json_sax<json> {
 public:
  explicit HeaderEvents(const std::string& file) : file_(file) {}
  SafetensorsHeader take() { return std::move(header_); }

  bool start_object(std::size_t) override {
    if (where_ == Where::outside) return enter(Where::header);
    if (where_ != Where::header) unexpected("an object");
    if (key_ != "__metadata__") {
      header_.entries.emplace_back().name = key_;
      fields_ = {};
      return enter(Where::entry);
    }
    check(!metadata_seen_, "{}: \"__metadata__\" appears twice", file_);
    metadata_seen_ = true;
    return enter(Where::metadata);
  }
  bool end_object() override {
    if (where_ != Where::entry)
      return enter(where_ == Where::header ? Where::outside : Where::header);
    check(fields_.dtype && fields_.shape && fields_.offsets == 2,
          "{}: expected dtype, shape and two data_offsets, found {}", place(), found_fields());
    return enter(Where::header);
  }
  bool key(std::string& name) override {
    if (where_ == Where::entry) {
      const bool repeated = (name == "dtype" && fields_.dtype) ||
                            (name == "shape" && fields_.shape) ||
                            (name == "data_offsets" && fields_.offsets_seen);
      check(!repeated, "{}: {} appears twice", place(), name);
      check(name == "dtype" || name == "shape" || name == "data_offsets",
            "{}: expected dtype, shape or data_offsets, found {}", place(), quote_text(name));
    }
    key_ = std::move(name);
    return true;
  }
  bool string(std::string& value) override {
    if (where_ == Where::metadata) {
      const bool added = header_.metadata.emplace(key_, std::move(value)).second;
      check(added, "{}: the metadata has {} twice", file_, quote_text(key_));
    } else if (where_ == Where::entry && key_ == "dtype") {
      entry().type = &safetensors_type(value, place());
      fields_.dtype = true;
    } else {
      unexpected("a string");
    }
    return true;
  }
  bool start_array(std::size_t) override {
    if (where_ == Where::entry && key_ == "shape") {
      fields_.shape = true;
      return enter(Where::shape);
    }
    if (where_ == Where::entry && key_ == "data_offsets") {
      fields_.offsets_seen = true;
      return enter(Where::offsets);
    }
    unexpected("an array");
  }
  bool end_array() override { return enter(Where::entry); }
  bool number_unsigned(number_unsigned_t value) override {
    if (where_ == Where::shape) {
      check(entry().shape.rank() < Dims::max_rank, "{}: expected at most {} axes, found more",
            place(), Dims::max_rank);
      check(value <= std::uint64_t{std::numeric_limits<std::int64_t>::max()},
            "{}: a size of {} is too large", place(), value);
      entry().shape.push_back(static_cast<std::int64_t>(value));
    } else if (where_ == Where::offsets) {
      check(fields_.offsets < 2, "{}: expected two data_offsets, found more", place());
      (fields_.offsets++ == 0 ? entry().begin : entry().end) = value;
    } else {
      unexpected("a number");
    }
    return true;
  }
  // A minus, a fraction, an exponent, or more than 64 bits.
  bool number_integer(number_integer_t) override { unexpected("a negative number"); }
  bool number_float(number_float_t, const std::string& text) override {
    unexpected("the number " + quote_text(text));
  }
  bool null() override { unexpected("null"); }
  bool boolean(bool) override { unexpected("true or false"); }
  bool binary(binary_t&) override { unexpected("binary data"); }
  bool parse_error(std::size_t position, const std::string&, const json::exception& e) override {
    fail("{}: the header is not valid JSON at byte {}: {}", file_, position, quote_text(e.what()));
  }

 private:
  enum class Where { outside, header, metadata, entry, shape, offsets };
  struct Fields {  // of the entry being read
    bool dtype = false, shape = false, offsets_seen = false;
    int offsets = 0;
  };

  bool enter(Where where) {
    where_ = where;
    return true;
  }
  SafetensorsEntry& entry() { return header_.entries.back(); }
  std::string place() const {
    return fmt::format("{}: tensor {}", file_, quote_text(header_.entries.back().name));
  }
  std::string found_fields() const {
    return fmt::format("{}, {} and {} data_offsets", fields_.dtype ? "a dtype" : "no dtype",
                       fields_.shape ? "a shape" : "no shape", fields_.offsets);
  }
  [[noreturn]] void unexpected(const std::string& found) const {
    switch (where_) {
      case Where::outside:
        fail("{}: expected a JSON object, found {}", file_, found);
      case Where::header:
        fail("{}: expected an object for {}, found {}", file_, quote_text(key_), found);
      case Where::metadata:
        fail("{}: expected a string for metadata {}, found {}", file_, quote_text(key_), found);
      case Where::entry:
        fail("{}: expected {} for {}, found {}", place(), key_ == "dtype" ? "a string" : "an array",
             key_, found);
      case Where::shape:
      case Where::offsets:
        fail("{}: expected whole numbers from 0 in {}, found {}", place(), key_, found);
    }
    fail("{}: unexpected {}", file_, found);
  }

  const std::string& file_;
  SafetensorsHeader header_;
  Where where_ = Where::outside;
  Fields fields_;
  std::string key_;
  bool metadata_seen_ = false;
};

// The bytes of an entry by its shape and type; Error when that overflows. Zero sizes count as 1 in
// the test, so that strides of empty tensors cannot overflow either.
std::uint64_t expected_bytes(const SafetensorsEntry& entry, const std::string& file) {
  std::int64_t bound =
      static_cast<std::int64_t>(std::max(entry.type->bytes, size_of(entry.type->dtype)));
  for (const std::int64_t size : entry.shape)
    check(!__builtin_mul_overflow(bound, std::max<std::int64_t>(size, 1), &bound),
          "{}: tensor {}: a shape of {} is too large", file, quote_text(entry.name),
          to_string(entry.shape));
  return static_cast<std::uint64_t>(entry.shape.count()) * entry.type->bytes;
}

// Sorts the entries by their data and checks that these follow each other without hole or overlap
// from the first byte to the last.
void check_offsets(std::vector<SafetensorsEntry>& entries, std::uint64_t data_bytes,
                   const std::string& file) {
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t next = 0;
  for (const SafetensorsEntry& entry : entries) {
    const std::string_view name = entry.name;
    check(entry.begin <= entry.end && entry.end <= data_bytes,
          "{}: tensor {}: expected offsets within the {} bytes of data, found [{}, {}]", file,
          quote_text(name), data_bytes, entry.begin, entry.end);
    const std::uint64_t bytes = expected_bytes(entry, file);
    check(entry.end - entry.begin == bytes,
          "{}: tensor {}: {} of shape {} needs {} bytes, its offsets [{}, {}] hold {}", file,
          quote_text(name), entry.type->name, to_string(entry.shape), bytes, entry.begin, entry.end,
          entry.end - entry.begin);
    check(entry.begin == next, "{}: tensor {}: expected its data at byte {}, found {} ({})", file,
          quote_text(name), next, entry.begin, entry.begin < next ? "an overlap" : "a hole");
    next = entry.end;
  }
  check(next == data_bytes, "{}: expected {} bytes of data after the header, found {}", file, next,
        data_bytes);
}

}  // namespace

const SafetensorsType& safetensors_type(std::string_view name, const std::string& place) {
  for (const SafetensorsType& type : types)
    if (type.name == name) return type;
  fail("{}: expected the dtype F64, F32, F16, BF16, I64, I32 or U8, found {}", place,
       quote_text(name));
}

const SafetensorsType& safetensors_type(DType dtype) {
  return *std::find_if(std::begin(types), std::end(types),
                       [&](const SafetensorsType& type) { return type.dtype == dtype; });
}

void check_unique_names(const std::vector<SafetensorsEntry>& entries, const std::string& file) {
  std::vector<std::string_view> names(entries.size());
  std::transform(entries.begin(), entries.end(), names.begin(),
                 [](auto& e) -> std::string_view { return e.name; });
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  check(twice == names.end(), "{}: tensor {} appears twice", file,
        twice == names.end() ? "" : quote_text(*twice));
}

SafetensorsHeader parse_safetensors_header(std::string_view text, std::uint64_t data_bytes,
                                           const std::string& file) {
  check(text.starts_with('{'), "{}: expected a header that starts with '{{', found {}", file,
        quote_text(text.substr(0, 8)));
  // The parser takes a NUL for the end of its input; JSON has none.
  check(text.find('\0') == text.npos, "{}: expected a header of JSON text, found a NUL byte", file);
  HeaderEvents events(file);
  json::sax_parse(text.begin(), text.end(), &events);
  SafetensorsHeader header = events.take();
  check_unique_names(header.entries, file);
  check_offsets(header.entries, data_bytes, file);
  return header;
}

std::string format_safetensors_header(const SafetensorsHeader& header, const std::string& file) {
  std::string text = "{";
  const auto add_key = [&](const std::string& key) {
    if (text.back() != '{') text += ',';
    text += json(key).dump() + ':';
  };
  try {
    if (!header.metadata.empty()) {
      add_key("__metadata__");
      text += '{';
      for (const auto& [key, value] : header.metadata) {
        add_key(key);
        text += json(value).dump();
      }
      text += '}';
    }
    for (const SafetensorsEntry& entry : header.entries) {
      add_key(entry.name);
      text += fmt::format(R"({{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                          entry.type->name, fmt::join(entry.shape, ","), entry.begin, entry.end);
    }
  } catch (const json::exception& e) {
    fail("{}: names and metadata must be UTF-8 text: {}", file, e.what());
  }
  text += '}';
  text.append((8 - text.size() % 8) % 8, ' ');
  check(text.size() <= max_safetensors_header,
        "{}: names and metadata need a header of {} bytes; the format allows {}", file, text.size(),
        max_safetensors_header);
  return text;
}

std::string quote_text(std::string_view text) {
  constexpr std::size_t longest = 120;
  const std::string start(text.substr(0, longest));
  return json(start).dump(-1, ' ', false, json::error_handler_t::replace) +
         (text.size() > longest ? "..." : "");
}

}  // namespace understudy
