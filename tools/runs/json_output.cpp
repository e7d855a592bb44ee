#include "tools/runs/json_output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "engine/atomic_file.h"
#include "kernels/check.h"

namespace understudy {
namespace {

namespace fs = std::filesystem;

void check_target(const fs::path& target) {
  const auto refuse = [&](const std::string& why) {
    throw UsageError(fmt::format("--json {}: {}", target.string(), why));
  };
  const fs::path folder = target.has_parent_path() ? target.parent_path() : ".";
  if (!fs::is_directory(folder)) refuse("there is no folder " + folder.string());
  if (fs::is_directory(target)) refuse("is a folder, expected a file");
  if (fs::exists(target) && ::access(target.c_str(), W_OK) != 0)
    refuse(fmt::format("cannot be written: {}", std::strerror(errno)));
  // A regular file is replaced by a new one, which needs the folder.
  if ((!fs::exists(target) || fs::is_regular_file(target)) &&
      ::access(folder.c_str(), W_OK | X_OK) != 0)
    refuse(fmt::format("nothing can be written in {}: {}", folder.string(), std::strerror(errno)));
}

void write_all(int file, const std::string& text) {
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t count = ::write(file, text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    check(count > 0, "cannot write to stdout: {}", std::strerror(errno));
    done += static_cast<std::size_t>(count);
  }
}

}  // namespace

JsonOutput::JsonOutput(fs::path target, bool quiet) : target_(std::move(target)) {
  if (target_.empty()) return;
  if (target_ != "-") {
    check_target(target_);
    return;
  }
  std::fflush(stdout);
  stdout_ = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  if (stdout_ < 0)
    throw UsageError(fmt::format("--json -: stdout cannot be used: {}", std::strerror(errno)));
  const int nowhere = quiet ? ::open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;
  if (!quiet || nowhere >= 0) ::dup2(quiet ? nowhere : STDERR_FILENO, STDOUT_FILENO);
  if (nowhere >= 0) ::close(nowhere);
}

JsonOutput::~JsonOutput() {
  if (stdout_ < 0) return;
  std::fflush(stdout);
  ::dup2(stdout_, STDOUT_FILENO);
  ::close(stdout_);
}

void JsonOutput::write(const nlohmann::json& value) const {
  if (target_.empty()) return;
  const std::string text = value.dump(2) + "\n";
  if (stdout_ >= 0) {
    write_all(stdout_, text);
  } else if (fs::exists(target_) && !fs::is_regular_file(target_)) {
    std::ofstream out(target_, std::ios::binary);  // a device or a pipe is not to be replaced
    out << text << std::flush;
    check(out.good(), "--json {}: cannot be written", target_.string());
  } else {
    write_file_atomically(target_, text);
  }
}

}  // namespace understudy
