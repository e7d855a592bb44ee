#include "tools/reproduce/source.h"

#include <fmt/format.h>

#include <fstream>
#include <span>
#include <sstream>

#include "datasets/digest.h"
#include "kernels/check.h"

namespace understudy::reproduce {

Source read_source(const std::filesystem::path& path) {
  Source source{.file = path.string()};
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream content;
  content << stream.rdbuf();
  if (!stream.good()) throw UsageError(fmt::format("{}: cannot be read", source.file));
  const std::string bytes = content.str();
  source.sha256 =
      sha256({std::span(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size())});
  try {
    source.root = toml::parse(bytes);
  } catch (const toml::parse_error& error) {
    throw UsageError(
        fmt::format("{}:{}: {}", source.file, error.source().begin.line, error.description()));
  }
  return source;
}

}  // namespace understudy::reproduce
