#include "coding/code_file.h"

#include <fmt/ranges.h>

#include <vector>

#include "coding/learned/learned_code.h"
#include "coding/parity/parity_models.h"
#include "kernels/check.h"

namespace understudy {
namespace {

template <class Code>
using Reader = std::unique_ptr<Code> (*)(const Safetensors& content, const std::string& file);

template <class Code, Reader<Code> read>
std::unique_ptr<TrainableCode> read_as(const Safetensors& content, const std::string& file) {
  return read(content, file);
}

struct Kind {
  const char* name;  // "understudy.kind"
  Reader<TrainableCode> read;
};
constexpr Kind kinds[] = {
    {"learned-code", read_as<LearnedCode, read_learned_code>},
    {"parity-models", read_as<ParityModels, read_parity_models>},
};

// Of a checksum, for a person.
constexpr std::size_t digits = 12;

}  // namespace

std::unique_ptr<TrainableCode> read_code(const Safetensors& content, const std::string& file) {
  const auto entry = content.metadata.find("understudy.kind");
  check(entry != content.metadata.end(),
        "{}: is no file of a code: its metadata have no \"understudy.kind\"", file);
  std::vector<std::string> names;
  for (const Kind& kind : kinds) {
    if (entry->second == kind.name) return kind.read(content, file);
    names.emplace_back(kind.name);
  }
  fail("{}: holds a \"{}\"; codes are {}", file, entry->second, fmt::join(names, ", "));
}

bool check_purpose(const CodePurpose& made_for, const CodePurpose& here, const std::string& file) {
  const auto require_same = [&](const std::string& what, const auto& made, const auto& now) {
    if (made != now)
      throw UsageError(fmt::format("{}: made for {} {}, here {} {}", file, what, made, what, now));
  };
  require_same("k =", made_for.shape.k, here.shape.k);
  require_same("r =", made_for.shape.r, here.shape.r);
  require_same("images", to_string(made_for.image), to_string(here.image));
  require_same("classes =", made_for.classes, here.classes);
  if (made_for.base.model.empty() || made_for.base.sha256.empty()) return false;
  require_same("base model", made_for.base.model, here.base.model);
  if (made_for.base.sha256 != here.base.sha256)
    throw UsageError(fmt::format("{}: made for parameters of {} with SHA-256 {}…, here {}…", file,
                                 made_for.base.model, made_for.base.sha256.substr(0, digits),
                                 here.base.sha256.substr(0, digits)));
  return true;
}

}  // namespace understudy
