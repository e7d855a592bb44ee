#include "tools/runs/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "kernels/check.h"

namespace understudy {

FolderLock::~FolderLock() {
  if (held()) ::close(folder_);
}

bool FolderLock::take(const std::filesystem::path& folder) {
  const int file = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  check(file >= 0, "{}: cannot be opened: {}", folder.string(), std::strerror(errno));
  if (::flock(file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    ::close(file);
    return false;
  }
  folder_ = file;
  return true;
}

}  // namespace understudy
