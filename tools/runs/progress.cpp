#include "tools/runs/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "kernels/backend.h"

namespace understudy {
namespace {

bool is_set(const char* name) {
  const char* value = std::getenv(name);
  return value && *value;
}

bool is_terminal() {
  const char* term = std::getenv("TERM");
  return isatty(STDERR_FILENO) && !is_set("CI") && term && std::string_view(term) != "dumb";
}

constexpr int bar_width = 24;

}  // namespace

Progress::Progress(bool quiet)
    : quiet_(quiet), bar_(!quiet && is_terminal()), colour_(bar_ && !is_set("NO_COLOR")) {}

Progress::~Progress() { clear_bar(); }

void Progress::line(const std::string& text) {
  if (quiet_) return;
  clear_bar();
  fmt::print(stderr, "{}\n", text);
}

void Progress::begin(const std::string& label, std::int64_t total, std::int64_t done) {
  label_ = label;
  total_ = total;
  first_ = done_ = done;
  start_ = last_ = std::chrono::steady_clock::now();
}

void Progress::update(std::int64_t done, const std::string& note,
                      std::optional<double> seconds_left) {
  done_ = done;
  if (!bar_) return;
  const auto now = std::chrono::steady_clock::now();
  if (drawn_ && now - last_ < std::chrono::milliseconds(100)) return;
  last_ = now;
  const double part = total_ > 0 ? static_cast<double>(done_) / static_cast<double>(total_) : 1;
  const int full = static_cast<int>(std::clamp(part, 0.0, 1.0) * bar_width);
  if (!seconds_left && done_ > first_) seconds_left = this->seconds_left();
  const std::string left = seconds_left ? "  " + duration(*seconds_left) + " left" : "";
  fmt::print(stderr, "\r\x1b[K{}  {}{}{}{}  {:3.0f} %{}{}{}", label_, colour_ ? "\x1b[32m" : "",
             std::string(static_cast<std::size_t>(full), '#'),
             std::string(static_cast<std::size_t>(bar_width - full), '.'), colour_ ? "\x1b[0m" : "",
             100 * part, left, note.empty() ? "" : "  ", note);
  std::fflush(stderr);
  drawn_ = true;
}

double Progress::seconds_left() const {
  if (done_ <= first_) return 0;
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start_;
  return spent.count() / static_cast<double>(done_ - first_) * static_cast<double>(total_ - done_);
}

void Progress::end() { clear_bar(); }

void Progress::clear_bar() {
  if (!drawn_) return;
  fmt::print(stderr, "\r\x1b[K");
  std::fflush(stderr);
  drawn_ = false;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double seconds_since(std::chrono::steady_clock::time_point start, Device device) {
  backend(device).synchronize();
  return seconds_since(start);
}

std::string duration(double seconds) {
  constexpr double longest = 1e9;  // 30 years; also what an infinite time is shown as
  const auto whole = seconds > 0 ? static_cast<long>(std::ceil(std::min(seconds, longest))) : 0L;
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

}  // namespace understudy
