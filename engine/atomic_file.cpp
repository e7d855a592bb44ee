#include "engine/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <utility>

#include "kernels/check.h"

namespace understudy {
namespace {

thread_local FileCallHook::Hook hook;

// Asks the test hook; returns true, with errno set, when the call is to fail.
bool refused(const char* call, std::size_t& bytes) {
  if (!hook) return false;
  errno = hook(call, bytes);
  return errno != 0;
}
bool refused(const char* call) {
  std::size_t none = 0;
  return refused(call, none);
}

// Runs a system call again while a signal interrupts it; -1 and errno on failure.
template <class Call>
int checked_call(const char* name, Call call) {
  for (;;) {
    const int result = refused(name) ? -1 : call();
    if (result != -1 || errno != EINTR) return result;
  }
}

[[noreturn]] void fail_call(const std::filesystem::path& path, const char* call, int error) {
  fail("{}: writing the file failed in {}: {}", path.string(), call,
       std::generic_category().message(error));
}

std::filesystem::path directory_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

// What the names of the temporary files of `path` start and end with. Long names are cut, so that
// the temporary name fits wherever the name itself does.
std::string temporary_prefix(const std::filesystem::path& path) {
  return fmt::format(".{}.", path.filename().string().substr(0, 200));
}
constexpr std::string_view temporary_suffix = ".tmp";

// Removes temporary files of `path` that a killed process left. Their writer held a lock for as
// long as it lived, so one that can be locked is nobody's. Failures are of no consequence.
void remove_abandoned(const std::filesystem::path& path) {
  const std::string prefix = temporary_prefix(path);
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory_of(path), error), end;
       !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with(prefix) || !name.ends_with(temporary_suffix)) continue;
    const std::string digits =
        name.substr(prefix.size(), name.size() - prefix.size() - temporary_suffix.size());
    if (digits.empty() || digits.find_first_not_of("0123456789-") != std::string::npos) continue;
    const int file = ::open(entry->path().c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (file == -1) continue;
    if (::flock(file, LOCK_EX | LOCK_NB) == 0) ::unlink(entry->path().c_str());
    ::close(file);
  }
}

}  // namespace

FileCallHook::FileCallHook(Hook h) { hook = std::move(h); }
FileCallHook::~FileCallHook() { hook = nullptr; }

AtomicFile::AtomicFile(const std::filesystem::path& path) : path_(path) {
  check(path.has_filename(), "{}: expected the name of a file to write, found a directory",
        path.string());
  std::error_code ignored;
  if (std::filesystem::is_symlink(path, ignored))
    path_ = std::filesystem::weakly_canonical(path, ignored);
  const auto kind = std::filesystem::status(path_, ignored).type();
  check(
      kind == std::filesystem::file_type::regular || kind == std::filesystem::file_type::not_found,
      "{}: expected a regular file or nothing in its place, found something else", path_.string());
  remove_abandoned(path_);
  try {
    create_temporary();
  } catch (...) {
    discard();
    throw;
  }
}

AtomicFile::~AtomicFile() { discard(); }

void AtomicFile::create_temporary() {
  static std::atomic<std::uint64_t> counter{0};
  for (;;) {
    const std::filesystem::path name =
        directory_of(path_) / fmt::format("{}{}-{}{}", temporary_prefix(path_), ::getpid(),
                                          counter.fetch_add(1), temporary_suffix);
    file_ = checked_call("open", [&] {
      return ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    });
    if (file_ == -1 && errno == EEXIST) continue;
    if (file_ == -1) fail_call(path_, "open", errno);
    temporary_ = name;
    // Between open and flock another process may take the file for abandoned and remove it; it
    // then has no name any more, and another is made. Where locks are not supported nobody removes.
    struct stat made {};
    const int locked = ::flock(file_, LOCK_EX);
    if (locked == -1 || ::fstat(file_, &made) == -1 || made.st_nlink > 0) break;
    ::close(file_);
  }
  struct stat old {};
  if (::stat(path_.c_str(), &old) == 0 &&
      checked_call("fchmod", [&] { return ::fchmod(file_, old.st_mode & 07777); }) == -1)
    fail_call(path_, "fchmod", errno);
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  check(file_ != -1, "{}: write after commit", path_.string());
  while (!bytes.empty()) {
    std::size_t size = bytes.size();
    const ssize_t written = refused("write", size) ? -1 : ::write(file_, bytes.data(), size);
    if (written == -1 && errno == EINTR) continue;
    if (written <= 0) fail_call(path_, "write", written == 0 ? ENOSPC : errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void AtomicFile::commit() {
  check(file_ != -1, "{}: committed twice", path_.string());
  if (checked_call("fsync", [&] { return ::fsync(file_); }) == -1) fail_call(path_, "fsync", errno);

  // Renamed while still open, and so locked: until it has its new name nobody may
  // take it for abandoned.
  const auto rename = [&] { return ::rename(temporary_.c_str(), path_.c_str()); };
  if (checked_call("rename", rename) == -1) fail_call(path_, "rename", errno);
  temporary_.clear();
  ::close(std::exchange(file_, -1));  // its contents are on the disk already

  // The new contents are in place; only after this does the rename survive a loss of power.
  const int directory = checked_call("open directory", [&] {
    return ::open(directory_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  });
  if (directory == -1) fail_call(path_, "open of the directory", errno);
  const int synced = checked_call("fsync directory", [&] { return ::fsync(directory); });
  const int error = errno;
  ::close(directory);
  // Some file systems have no fsync of directories and say EINVAL.
  if (synced == -1 && error != EINVAL) fail_call(path_, "fsync of the directory", error);
}

void AtomicFile::discard() noexcept {
  if (file_ != -1) ::close(std::exchange(file_, -1));
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  temporary_.clear();
}

void write_file_atomically(const std::filesystem::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace understudy
