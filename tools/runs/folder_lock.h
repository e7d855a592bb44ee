// Keeps two processes from working in one folder.
#pragma once

#include <filesystem>

namespace understudy {

// The lock ends with the object, also when the process is killed. Where the file system has no
// locks, everybody gets one.
class FolderLock {
 public:
  FolderLock() = default;
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  // False when another one has it. To be called until it succeeds, then no more.
  bool take(const std::filesystem::path& folder);
  bool held() const { return folder_ >= 0; }

 private:
  int folder_ = -1;  // a descriptor
};

}  // namespace understudy
