// AtomicFile keeps its promise: whatever call fails, and whenever the process is killed, the file
// is the old one or the new one, whole.
#include "engine/atomic_file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

#include "kernels/check.h"
#include "tests/temporary_folder.h"

namespace fs = std::filesystem;
using namespace understudy;

namespace {

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  return names;
}

// In three pieces, so that a failure can fall between writes.
void write_in_pieces(const fs::path& path, const std::string& text) {
  AtomicFile file(path);
  const std::size_t third = text.size() / 3;
  file.write(text.substr(0, third));
  file.write(text.substr(third, third));
  file.write(text.substr(2 * third));
  file.commit();
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("atomic file: writes, replaces, keeps permissions") {
    const TemporaryFolder folder;
    const fs::path path = folder.path() / "a.txt";
    write_file_atomically(path, "first");
    CHECK(read(path) == "first");
    fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read);
    write_file_atomically(path, "second");
    CHECK(read(path) == "second");
    CHECK(fs::status(path).permissions() ==
          (fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read));
    CHECK(names_in(folder.path()) == std::vector<std::string>{"a.txt"});

    const mode_t before = ::umask(027);
    write_file_atomically(folder.path() / "b.txt", "");
    ::umask(before);
    CHECK(fs::status(folder.path() / "b.txt").permissions() ==
          (fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read));
  }

  TEST_CASE("atomic file: nothing happens without commit") {
    const TemporaryFolder folder;
    const fs::path path = folder.path() / "a.txt";
    { AtomicFile(path).write("dropped"); }
    CHECK(names_in(folder.path()).empty());
    write_file_atomically(path, "old");
    { AtomicFile(path).write("dropped"); }
    CHECK(read(path) == "old");
    CHECK(names_in(folder.path()) == std::vector<std::string>{"a.txt"});
  }

  TEST_CASE("atomic file: a symbolic link stays one") {
    const TemporaryFolder folder;
    fs::create_directory(folder.path() / "real");
    write_file_atomically(folder.path() / "real" / "a.txt", "old");
    fs::create_symlink("real/a.txt", folder.path() / "link");
    write_file_atomically(folder.path() / "link", "new");
    CHECK(fs::is_symlink(folder.path() / "link"));
    CHECK(read(folder.path() / "real" / "a.txt") == "new");
  }

  TEST_CASE("atomic file: places that cannot be written are named") {
    const TemporaryFolder folder;
    CHECK_THROWS_WITH_AS(write_file_atomically(folder.path() / "no" / "a.txt", "x"),
                         doctest::Contains("no/a.txt"), Error);
    CHECK_THROWS_AS(write_file_atomically(folder.path(), "x"), Error);
    CHECK_THROWS_AS(write_file_atomically(folder.path() / "", "x"), Error);
    // The longest name that a file can have here: the temporary name must not be longer.
    const fs::path longest = folder.path() / std::string(255, 'n');
    write_file_atomically(longest, "x");
    CHECK(read(longest) == "x");
  }

  TEST_CASE("atomic file: short writes and interrupted calls are carried on") {
    const TemporaryFolder folder;
    const fs::path path = folder.path() / "a.txt";
    const std::string text(1000, 't');
    int calls = 0;
    {
      const FileCallHook hook([&](const std::string& call, std::size_t& bytes) {
        if (call == "write") bytes = std::min<std::size_t>(bytes, 7);
        return ++calls % 3 == 0 ? EINTR : 0;
      });
      write_in_pieces(path, text);
    }
    CHECK(calls > 150);
    CHECK(read(path) == text);
  }

  TEST_CASE("atomic file: after any failed call the old file is intact and nothing is left") {
    const TemporaryFolder folder;
    const fs::path path = folder.path() / "a.txt";
    const std::string old_text(3000, 'o'), new_text(2000, 'n');
    for (const int error : {ENOSPC, EIO, EDQUOT}) {
      for (const bool replaces : {true, false}) {
        int failed_calls = 0;
        for (int n = 0;; ++n) {
          fs::remove(path);
          if (replaces) write_file_atomically(path, old_text);
          int call_number = 0;
          std::string failed;
          std::string message;
          {
            const FileCallHook hook([&](const std::string& call, std::size_t&) {
              if (call_number++ != n) return 0;
              failed = call;
              return error;
            });
            try {
              write_in_pieces(path, new_text);
            } catch (const Error& e) {
              message = e.what();
            }
          }
          CAPTURE(failed);
          if (failed.empty()) {  // n is past the last call: the write went through
            CHECK(message.empty());
            CHECK(read(path) == new_text);
            break;
          }
          ++failed_calls;
          CHECK(message.find(path.string()) != message.npos);
          CHECK(message.find(std::generic_category().message(error)) != message.npos);
          // After the rename the new file is in place already; only its durability is in doubt.
          const bool renamed = failed.ends_with("directory");
          CHECK(fs::exists(path) == (replaces || renamed));
          if (fs::exists(path)) CHECK(read(path) == (renamed ? new_text : old_text));
          CHECK(names_in(folder.path()).size() == (fs::exists(path) ? 1u : 0u));
        }
        CHECK(failed_calls ==
              (replaces ? 9 : 8));  // fchmod only where there is a file to copy from
      }
    }
  }

  TEST_CASE("atomic file: a write that fails half way leaves the old file") {
    const TemporaryFolder folder;
    const fs::path path = folder.path() / "a.txt";
    write_file_atomically(path, "old");
    int writes = 0;
    {
      const FileCallHook hook([&](const std::string& call, std::size_t& bytes) {
        if (call != "write") return 0;
        bytes = std::min<std::size_t>(bytes, 100);
        return ++writes == 3 ? ENOSPC : 0;
      });
      CHECK_THROWS_AS(write_file_atomically(path, std::string(1000, 'n')), Error);
    }
    CHECK(read(path) == "old");
    CHECK(names_in(folder.path()) == std::vector<std::string>{"a.txt"});
  }

  // The child writes files of one repeated letter and growing length, each with
  // its length in front.
  TEST_CASE("atomic file: killed at any moment, the file is whole") {
    const TemporaryFolder folder;
    const fs::path path = folder.path() / "a.txt";
    const auto content = [](int i) {
      const std::string body(20000 + 1000 * (i % 50), static_cast<char>('a' + i % 26));
      return std::to_string(body.size()) + ":" + body;
    };
    write_file_atomically(path, content(0));
    for (int round = 0; round < 40; ++round) {
      const pid_t child = ::fork();
      REQUIRE(child != -1);
      if (child == 0) {
        try {
          for (int i = 0;; ++i) write_in_pieces(path, content(i));
        } catch (...) {
        }
        ::_exit(1);
      }
      // Different moments of the loop, without a clock in the verdict.
      std::this_thread::sleep_for(std::chrono::microseconds(500 + 3571 * round % 9000));
      REQUIRE(::kill(child, SIGKILL) == 0);
      int status = 0;
      REQUIRE(::waitpid(child, &status, 0) == child);
      REQUIRE(WIFSIGNALED(status));

      const std::string found = read(path);
      const std::size_t colon = found.find(':');
      REQUIRE(colon != found.npos);
      CHECK(std::stoul(found.substr(0, colon)) == found.size() - colon - 1);
      CHECK(found.find_first_not_of(found.back(), colon + 1) == found.npos);
    }
    // What the kills left behind goes with the next write; what somebody is writing stays.
    AtomicFile busy(path);
    busy.write("busy");
    write_file_atomically(path, "last");
    CHECK(names_in(folder.path()).size() == 2);
    busy.commit();
    CHECK(read(path) == "busy");
    CHECK(names_in(folder.path()) == std::vector<std::string>{"a.txt"});
  }
}
