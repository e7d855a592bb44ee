// Child processes, played by shell scripts.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "reproduce_folders.h"
#include "temporary_folder.h"
#include "tools/reproduce/children.h"

using namespace understudy;
using namespace understudy::reproduce;
using namespace understudy::testing;
namespace fs = std::filesystem;
using Phase = ChildState::Phase;

namespace {

struct Shell {
  TemporaryFolder folder;
  std::vector<Child> children;
  ChildrenOptions options = {.environment = {"PATH=/usr/bin:/bin", "GREETING=hello"}};

  void add(const std::string& script, std::vector<std::size_t> after = {}) {
    const std::string name = "job" + std::to_string(children.size());
    children.push_back({.name = name,
                        .command = {"/bin/sh", "-c", script},
                        .folder = folder.path(),
                        .log = folder.path() / (name + ".log"),
                        .after = std::move(after)});
  }
  std::vector<ChildState> run() { return run_children(children, options); }
  std::string log(std::size_t i) const {
    std::ostringstream text;
    text << std::ifstream(children[i].log).rdbuf();
    return text.str();
  }
};

}  // namespace

TEST_SUITE("reproduce") {
  TEST_CASE("children run in their folder, with their environment, into their log") {
    Shell shell;
    shell.add("pwd; echo $GREETING $HOME >&2; cat");  // stdin is empty
    const auto states = shell.run();
    CHECK(states.at(0).phase == Phase::done);
    CHECK(shell.log(0) == fs::canonical(shell.folder.path()).string() + "\nhello\n");
    CHECK(states.at(0).reason.empty());
  }

  TEST_CASE("no more run at once than allowed, and all do run") {
    for (const std::size_t at_once : {1, 3}) {
      Shell shell;
      // Each says how many are in the folder while it is there, and stays until the others that may
      // be there had time to come.
      for (int i = 0; i < 7; ++i)
        shell.add(
            "mkdir in && touch in || true; touch here.$$; ls -d here.* | wc -l; sleep 0.1; "
            "ls -d here.* | wc -l; rm here.$$");
      shell.options.at_once = at_once;
      std::size_t most = 0;
      shell.options.watch = [&](const std::vector<ChildState>& states) {
        const auto running = std::count_if(states.begin(), states.end(), [](const auto& state) {
          return state.phase == Phase::running;
        });
        most = std::max(most, static_cast<std::size_t>(running));
      };
      for (const ChildState& state : shell.run()) CHECK(state.phase == Phase::done);
      CHECK(most == at_once);
      for (std::size_t i = 0; i < 7; ++i) {
        std::istringstream counts(shell.log(i));
        for (std::size_t count = 0; counts >> count;) CHECK(count <= at_once);
      }
    }
  }

  TEST_CASE("a child begins when those that it needs are done") {
    Shell shell;
    shell.options.at_once = 4;
    shell.add("sleep 0.2; echo first >> order");
    shell.add("echo second >> order", {0});
    shell.add("echo third >> order", {0, 1});
    for (const ChildState& state : shell.run()) CHECK(state.phase == Phase::done);
    std::ostringstream order;
    order << std::ifstream(shell.folder.path() / "order").rdbuf();
    CHECK(order.str() == "first\nsecond\nthird\n");
  }

  TEST_CASE("a failure stops nothing but what needs it, and says why") {
    Shell shell;
    shell.add("echo working; echo 'trainer: the disk is full' >&2; echo >&2; exit 1");
    shell.add("true", {0});
    shell.add("true", {1});
    shell.add("true");
    shell.add("exit 3");
    shell.add("kill -9 $$");
    shell.add("exit 130");  // stopped by somebody else
    shell.children.push_back(shell.children[0]);
    shell.children.back().command = {"/nowhere/program"};
    shell.children.back().log = shell.folder.path() / "other.log";
    const auto states = shell.run();
    CHECK(states.at(0).phase == Phase::failed);
    CHECK(states.at(0).reason == "trainer: the disk is full");
    CHECK(states.at(1).phase == Phase::impossible);
    CHECK(states.at(1).reason == "needs job0, which failed");
    CHECK(states.at(2).phase == Phase::impossible);
    CHECK(states.at(3).phase == Phase::done);
    CHECK(states.at(4).reason == "exit status 3");
    CHECK(states.at(5).phase == Phase::failed);
    CHECK(states.at(5).reason.find("signal 9") != std::string::npos);
    CHECK(states.at(6).phase == Phase::failed);
    CHECK(states.at(7).phase == Phase::failed);
    CHECK(states.at(7).reason.find("/nowhere/program: cannot be run") != std::string::npos);
  }

  TEST_CASE("asked to stop, running children get SIGTERM, may save, and nothing begins any more") {
    Shell shell;
    shell.options.at_once = 3;
    // Our programs: save and exit 130. One that does not listen yet; one that fails while it saves.
    shell.add("trap 'echo saved; exit 130' TERM; touch up0; while true; do sleep 0.05; done");
    shell.add("touch up1; exec sleep 60");
    shell.add(
        "trap 'echo the disk is full; exit 1' TERM; touch up2; "
        "while true; do sleep 0.05; done");
    shell.add("true");
    const fs::path& folder = shell.folder.path();
    shell.options.stop = [&] {
      return fs::exists(folder / "up0") && fs::exists(folder / "up1") && fs::exists(folder / "up2");
    };
    const auto states = shell.run();
    CHECK(states.at(0).phase == Phase::interrupted);
    CHECK(shell.log(0) == "saved\n");
    CHECK(states.at(1).phase == Phase::interrupted);
    CHECK(states.at(2).phase == Phase::failed);
    CHECK(states.at(2).reason == "the disk is full");
    CHECK(states.at(3).phase == Phase::interrupted);
    CHECK_FALSE(fs::exists(shell.children[3].log));
  }

  TEST_CASE("a child that ends well although asked to stop is done") {
    Shell shell;
    shell.add("trap 'exit 0' TERM; touch up; while true; do sleep 0.05; done");
    shell.options.stop = [&] { return fs::exists(shell.folder.path() / "up"); };
    CHECK(shell.run().at(0).phase == Phase::done);
  }
}
