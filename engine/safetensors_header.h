// The JSON header of a safetensors file: which bytes belong to which tensor. Everything in it is
// checked here, so that who reads the data needs no further doubt.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/view.h"

namespace understudy {

// An element type of the format and what the engine makes of it.
struct SafetensorsType {
  std::string_view name;  // "BF16"
  std::size_t bytes;      // of one element in the file
  DType dtype;            // of the tensor that it becomes; F16 and BF16 become float
};
// Error listing the known types when there is no such one; `place` opens the message.
const SafetensorsType& safetensors_type(std::string_view name, const std::string& place);
const SafetensorsType& safetensors_type(DType dtype);

struct SafetensorsEntry {
  std::string name;
  const SafetensorsType* type = nullptr;
  Dims shape;
  std::uint64_t begin = 0;  // bytes from the end of the header
  std::uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // in the order of their data
  std::map<std::string, std::string> metadata;
};

// In bytes; the reference implementation's limit.
inline constexpr std::uint64_t max_safetensors_header = 100'000'000;

// `data_bytes`: what follows the header in the file; the entries cover exactly these, one after the
// other. Error with `file`, what was expected and what was found for anything else.
SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t data_bytes,
                                           const std::string& file);

// Error when two entries share a name.
void check_unique_names(const std::vector<SafetensorsEntry>& entries, const std::string& file);

// Padded with spaces to a multiple of 8 bytes, as the reference does. Error for text that is not
// UTF-8 or a header over the limit; `file` opens the message.
std::string format_safetensors_header(const SafetensorsHeader& header, const std::string& file);

// Text from a file, made fit for a message: in quotes, control characters escaped, long text cut.
std::string quote_text(std::string_view text);

}  // namespace understudy
