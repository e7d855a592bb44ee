#include "kernels/cuda/plan_cache.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

namespace understudy::cuda {
namespace {

namespace fs = std::filesystem;

constexpr const char* format_name = "understudy convolution plans";
constexpr int format_version = 1;
// A network has some hundred plans of 200 bytes; whoever has more keeps the first of them.
constexpr std::size_t most_bytes = 4 << 20;
constexpr std::size_t most_plans = 10000, longest_key = 1000;

Plans read_file(const fs::path& file) {
  std::error_code error;
  if (!fs::is_regular_file(file, error)) return {};
  // Another process may put a longer file in its place at any moment: what is read must all come
  // from the one that was opened, so its size is not asked for beforehand.
  std::ifstream in(file, std::ios::binary);
  std::string text(most_bytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > most_bytes) return {};
  return parse_plans(text);
}

bool write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

// Whole or not at all, but for a machine that loses power: what is left then is no plan, and ignored.
void write_file(const fs::path& file, std::string_view text) {
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  static std::atomic<unsigned> counter{0};
  const fs::path temporary =
      file.parent_path() /
      fmt::format(".{}.{}-{}.tmp", file.filename().string(), ::getpid(), counter.fetch_add(1));
  const int descriptor =
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (descriptor == -1) return;
  const bool written = write_all(descriptor, text);
  const bool closed = ::close(descriptor) == 0;
  if (!written || !closed || ::rename(temporary.c_str(), file.c_str()) != 0)
    ::unlink(temporary.c_str());
}

std::optional<int> parse_small(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0 || value > 999)
    return std::nullopt;
  return value;
}

}  // namespace

const char* to_string(ConvPass pass) {
  switch (pass) {
    case ConvPass::forward:
      return "forward";
    case ConvPass::input_gradient:
      return "input_gradient";
    case ConvPass::weight_gradient:
      return "weight_gradient";
  }
  return "?";
}

std::string to_string(const ConvPlan& plan) {
  switch (plan.kind) {
    case ConvPlan::Kind::implicit:
      return "implicit";
    case ConvPlan::Kind::product:
      return "product";
    case ConvPlan::Kind::library:
      return fmt::format("library {} {}", plan.algorithm, plan.math);
  }
  return "?";
}

std::optional<ConvPlan> parse_plan(std::string_view text) {
  if (text == "implicit") return ConvPlan{};
  if (text == "product") return ConvPlan{.kind = ConvPlan::Kind::product};
  constexpr std::string_view library = "library ";
  if (!text.starts_with(library)) return std::nullopt;
  text.remove_prefix(library.size());
  const std::size_t space = text.find(' ');
  if (space == text.npos) return std::nullopt;
  const auto algorithm = parse_small(text.substr(0, space));
  const auto math = parse_small(text.substr(space + 1));
  if (!algorithm || !math) return std::nullopt;
  return ConvPlan{ConvPlan::Kind::library, *algorithm, *math};
}

std::string plan_key(std::string_view gpu, std::string_view library, const ConvProblem& problem) {
  const ConvShape& s = problem.shape;
  const Conv2d& conv = s.conv;
  return fmt::format(
      "{}; {}; {}{}; {} N{} H{} W{} C{} K{} R{} S{} stride {}x{} padding {}x{} dilation {}x{}", gpu,
      library, to_string(problem.precision), problem.deterministic ? ", deterministic" : "",
      to_string(problem.pass), s.N, s.H, s.W, s.C, s.K, s.R, s.S, conv.stride.height,
      conv.stride.width, conv.padding.height, conv.padding.width, conv.dilation.height,
      conv.dilation.width);
}

std::string plans_text(const Plans& plans) {
  nlohmann::json entries = nlohmann::json::object();
  for (const auto& [key, plan] : plans) entries[key] = to_string(plan);
  const nlohmann::json file = {
      {"format", format_name}, {"version", format_version}, {"plans", std::move(entries)}};
  // A GPU's name in no known encoding shall not stop anybody.
  return file.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Plans parse_plans(std::string_view text) {
  Plans plans;
  const nlohmann::json file = nlohmann::json::parse(text, nullptr, false);
  if (!file.is_object() || !file.contains("format") || file["format"] != format_name ||
      !file.contains("version") || file["version"] != format_version || !file.contains("plans") ||
      !file["plans"].is_object())
    return plans;
  for (const auto& [key, value] : file["plans"].items()) {
    if (plans.size() == most_plans) break;
    if (key.size() > longest_key || !value.is_string()) continue;
    if (const auto plan = parse_plan(value.get_ref<const std::string&>()))
      plans.emplace(key, *plan);
  }
  return plans;
}

fs::path PlanCache::default_file() {
  constexpr const char* name = "convolutions.json";
  const auto variable = [](const char* key) {
    const char* value = std::getenv(key);
    return std::string_view(value == nullptr ? "" : value);
  };
  if (std::getenv("UNDERSTUDY_CACHE") != nullptr) {
    const fs::path folder = variable("UNDERSTUDY_CACHE");
    return folder.empty() ? fs::path() : folder / name;
  }
  // The standard of such folders wants the relative ones ignored.
  const fs::path cache = variable("XDG_CACHE_HOME"), home = variable("HOME");
  if (cache.is_absolute()) return cache / "understudy" / name;
  return home.is_absolute() ? home / ".cache" / "understudy" / name : fs::path();
}

std::optional<ConvPlan> PlanCache::find(const std::string& key) {
  if (!was_read_ && !file_.empty())
    for (auto& [other, plan] : read_file(file_)) plans_.emplace(other, plan);
  was_read_ = true;
  const auto found = plans_.find(key);
  return found == plans_.end() ? std::nullopt : std::optional(found->second);
}

void PlanCache::put(const std::string& key, const ConvPlan& plan) {
  plans_[key] = plan;
  if (file_.empty()) return;
  for (auto& [other, theirs] : read_file(file_)) plans_.emplace(other, theirs);
  was_read_ = true;
  write_file(file_, plans_text(plans_));
}

}  // namespace understudy::cuda
