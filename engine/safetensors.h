// The safetensors format (github.com/huggingface/safetensors), read and written to its published
// specification, so that PyTorch reads our files and we read PyTorch's.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/tensor.h"

namespace understudy {

// Tensors by name, and string metadata. Read in the order of the file's data; written in any order:
// files are sorted as the reference sorts them, by type, the widest first, and then by name.
struct Safetensors {
  std::vector<std::pair<std::string, Tensor>> tensors;
  std::map<std::string, std::string> metadata;

  const Tensor* find(const std::string& name) const;  // null when absent
  const Tensor& at(const std::string& name) const;    // Error naming what there is
};

// F64, F32, I64, I32 and U8 as they are; F16 and BF16 become float. Error with the file, what was
// expected and what was found for anything malformed: a header over 100 MB or longer than the file,
// bad JSON, a repeated name, an unknown type, offsets that overlap, leave holes, or disagree with
// shape and type, sizes that overflow, bytes left over. Reads and allocates no more than the file.
Safetensors read_safetensors(const std::filesystem::path& path);
Safetensors parse_safetensors(std::span<const std::byte> bytes, const std::string& name);

// Written through AtomicFile (engine/atomic_file.h): the old file stays until the new one is whole.
// Error for a repeated or undefined tensor, and for names and metadata that are not UTF-8.
void write_safetensors(const std::filesystem::path& path, const Safetensors& content);
std::vector<std::byte> format_safetensors(const Safetensors& content);

}  // namespace understudy
