#include "engine/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "engine/atomic_file.h"
#include "kernels/check.h"

namespace understudy {
namespace {

using Clock = std::chrono::steady_clock;
using Pass = ProfileScope::Pass;

constexpr std::size_t longest_trace = 200'000;

struct Event {
  const char* op;
  Pass pass;
  int thread;
  Clock::time_point start;
  Clock::duration length;
};

// By text: the same op may come under the addresses of two literals.
using Rows = std::map<std::string, Profiler::Row, std::less<>>;

struct Record {
  std::mutex mutex;
  Rows rows;
  std::vector<Event> trace;
  int threads = 0;
};
Record& record() {
  static Record record;
  return record;
}

thread_local ProfileScope* innermost = nullptr;

// Small numbers, in the order in which threads run their first op.
int thread_number(Record& record) {
  thread_local const int number = record.threads++;
  return number;
}

double seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }
double microseconds(Clock::duration d) {
  return std::chrono::duration<double, std::micro>(d).count();
}

}  // namespace

Profiler::Profiler() : start_(Clock::now()) {
  check(!ProfileScope::active.load(), "[Profiler] another one is running; end it first");
  const std::scoped_lock lock(record().mutex);
  record().rows.clear();
  record().trace.clear();
  ProfileScope::active.store(true);
}

Profiler::~Profiler() { ProfileScope::active.store(false); }

void ProfileScope::begin(const char* op, Pass pass) {
  if (innermost != nullptr && innermost->pass_ == Pass::backward) return;  // a part of that one
  op_ = op;
  pass_ = pass;
  parent_ = innermost;
  innermost = this;
  start_ = Clock::now();
}

void ProfileScope::end() {
  const Clock::time_point now = Clock::now();
  const Clock::duration length = now - start_;
  innermost = parent_;
  if (parent_ != nullptr) parent_->children_ += length;
  Record& all = record();
  const std::scoped_lock lock(all.mutex);
  auto row = all.rows.find(std::string_view(op_));
  if (row == all.rows.end()) row = all.rows.emplace(op_, Profiler::Row{.op = op_}).first;
  const double own = seconds(length - children_);
  const bool backward = pass_ == Pass::backward;
  (backward ? row->second.backward_seconds : row->second.forward_seconds) += own;
  ++(backward ? row->second.backward_calls : row->second.forward_calls);
  if (all.trace.size() < longest_trace)
    all.trace.push_back({op_, pass_, thread_number(all), start_, length});
}

std::vector<Profiler::Row> Profiler::rows() const {
  const std::scoped_lock lock(record().mutex);
  std::vector<Row> rows;
  for (const auto& [op, row] : record().rows) rows.push_back(row);
  std::ranges::stable_sort(rows,
                           [](const Row& a, const Row& b) { return a.seconds() > b.seconds(); });
  return rows;
}

std::string Profiler::table() const {
  const double wall = seconds(Clock::now() - start_);
  double inside = 0;
  std::string text = fmt::format("{:<24} {:>10} {:>9} {:>12} {:>9} {:>7}\n", "op", "forward s",
                                 "calls", "backward s", "calls", "share");
  const auto line = [&](const Row& row) {
    text += fmt::format("{:<24} {:>10.3f} {:>9} {:>12.3f} {:>9} {:>5.1f} %\n", row.op,
                        row.forward_seconds, row.forward_calls, row.backward_seconds,
                        row.backward_calls, 100 * row.seconds() / wall);
  };
  for (const Row& row : rows()) {
    line(row);
    inside += row.seconds();
  }
  // Threads run ops beside each other: the sum can be above the wall time.
  text += fmt::format("{:<24} {:>10.3f} {:>37.1f} %\n", "outside of ops",
                      std::max(0.0, wall - inside), 100 * std::max(0.0, wall - inside) / wall);
  return text + fmt::format("{:<24} {:>10.3f}\n", "wall time", wall);
}

void Profiler::write_trace(const std::filesystem::path& path) const {
  const std::scoped_lock lock(record().mutex);
  std::string text = "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n";
  bool first = true;
  for (const Event& event : record().trace) {
    text += fmt::format(
        "{}{{\"name\": {}, \"cat\": \"{}\", \"ph\": \"X\", \"pid\": 1, \"tid\": {}, "
        "\"ts\": {:.3f}, \"dur\": {:.3f}}}",
        first ? "" : ",\n", nlohmann::json(event.op).dump(),
        event.pass == Pass::backward ? "backward" : "forward", event.thread,
        microseconds(event.start - start_), microseconds(event.length));
    first = false;
  }
  text += "\n]}\n";
  write_file_atomically(path, text);
}

}  // namespace understudy
