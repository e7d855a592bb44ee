// Files that are whole at any moment: a reader, a kill or a full disk sees the old contents or the
// new, never a part.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace understudy {

// Writes to a temporary file in the directory of `path` and puts it in the place of `path` at
// commit(): write, fsync, rename, fsync of the directory. Until then `path` is untouched; a file
// that is not committed (an exception on the way) leaves nothing behind. A kill can leave the
// temporary file; the next AtomicFile for the same path removes it.
//
// A replaced file keeps its permissions, a new one gets those of the umask; a symbolic link is
// followed. Every failure throws Error with the file, the call and the system's reason.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  // After this the new contents are on the disk under `path`. To be called once,
  // after the last write.
  void commit();

 private:
  void create_temporary();
  void discard() noexcept;

  std::filesystem::path path_;
  std::filesystem::path temporary_;  // empty once it is renamed or removed
  int file_ = -1;                    // its descriptor; -1 when closed
};

void write_file_atomically(const std::filesystem::path& path, std::string_view text);

// For tests. Called before each system call of this thread's AtomicFiles with its name ("open",
// "fchmod", "write", "fsync", "rename", "open directory", "fsync directory"). The answer is
// the errno that the call is to fail with, or 0 to let it happen; a hook may also lower `bytes`,
// the size of a write, to make it a short one. Set for the hook's lifetime.
class FileCallHook {
 public:
  using Hook = std::function<int(const std::string& call, std::size_t& bytes)>;
  explicit FileCallHook(Hook hook);
  ~FileCallHook();
  FileCallHook(const FileCallHook&) = delete;
  FileCallHook& operator=(const FileCallHook&) = delete;
};

}  // namespace understudy
