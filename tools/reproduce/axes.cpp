#include "tools/reproduce/axes.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace understudy::reproduce {

std::vector<Axis> axes_of(const Section& section, const std::vector<std::string>& keys) {
  std::vector<std::pair<toml::source_position, Axis>> found;
  for (const std::string& key : keys)
    if (section.has(key))
      found.push_back({section.table().get(key)->source().begin, {key, section.values(key)}});
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Axis> axes;
  axes.reserve(found.size());
  for (auto& [position, axis] : found) axes.push_back(std::move(axis));
  return axes;
}

void put_first(std::vector<Axis>& axes, const Axis& axis) {
  std::erase_if(axes, [&](const Axis& other) { return other.key == axis.key; });
  axes.insert(axes.begin(), axis);
}

std::string Combination::text(const std::string& key, const std::string& otherwise) const {
  const auto found = chosen_.find(key);
  return found == chosen_.end() ? otherwise : found->second;
}

std::string Combination::one_of(const std::string& key, const std::vector<std::string>& known,
                                const std::string& otherwise) const {
  return section_.one_of(key, text(key, otherwise), known);
}

std::int64_t Combination::whole(const std::string& key, std::int64_t low, std::int64_t otherwise,
                                std::int64_t high) const {
  return section_.to_whole(key, text(key, fmt::format("{}", otherwise)), low, high);
}

void multiply(const Section& section, const std::vector<Axis>& axes,
              const std::function<void(const Combination&)>& visit) {
  std::map<std::string, std::string> chosen;
  const std::function<void(std::size_t)> go = [&](std::size_t depth) {
    if (depth == axes.size()) return visit(Combination(section, chosen));
    for (const std::string& value : axes[depth].values) {
      chosen[axes[depth].key] = value;
      go(depth + 1);
    }
  };
  go(0);
}

}  // namespace understudy::reproduce
