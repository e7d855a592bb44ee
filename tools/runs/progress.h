// What a program says while it works, on stderr: a bar with the time left on a terminal,
// plain lines elsewhere (also where CI is set or TERM is dumb), nothing with --quiet.
// NO_COLOR is respected.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "kernels/device.h"

namespace understudy {

class Progress {
 public:
  explicit Progress(bool quiet);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // A line that stays.
  void line(const std::string& text);
  // A stretch of work of `total` equal parts, `done` of them done before (a resumed run).
  void begin(const std::string& label, std::int64_t total, std::int64_t done = 0);
  // `done` parts of it are done. Draws at most ten times a second. Where the parts are not equally
  // long, the caller knows better how many seconds are left.
  void update(std::int64_t done, const std::string& note = "",
              std::optional<double> seconds_left = {});
  // Seconds that the rest of the stretch will take at the speed so far; 0 before the first part.
  double seconds_left() const;
  void end();  // removes the bar

 private:
  void clear_bar();

  bool quiet_;
  bool bar_;
  bool colour_;
  bool drawn_ = false;
  std::string label_;
  std::int64_t total_ = 0, first_ = 0, done_ = 0;
  std::chrono::steady_clock::time_point start_, last_;
};

double seconds_since(std::chrono::steady_clock::time_point start);
// The same once the device has done what it was asked for.
double seconds_since(std::chrono::steady_clock::time_point start, Device device);

// "45 s", "3 min 20 s", "2 h 5 min"
std::string duration(double seconds);

}  // namespace understudy
