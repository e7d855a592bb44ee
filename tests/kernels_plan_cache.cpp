// The file of convolution plans, without any GPU.
#include "kernels/cuda/plan_cache.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "tests/temporary_folder.h"

namespace understudy::testing {
namespace {

namespace fs = std::filesystem;
using namespace understudy::cuda;

constexpr ConvPlan fastest{ConvPlan::Kind::library, 1, 3};

std::string text_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void write(const fs::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << text;
}
std::size_t files_in(const fs::path& folder) {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder)) ++count;
  return count;
}

// Sets variables of the environment, and puts back what they were.
class Environment {
 public:
  Environment() {
    for (const char* name : names)
      if (const char* value = std::getenv(name)) before_[name] = value;
  }
  ~Environment() {
    for (const char* name : names) set(name, nullptr);
    for (const auto& [name, value] : before_) set(name.c_str(), value.c_str());
  }
  static void set(const char* name, const char* value) {
    if (value == nullptr)
      unsetenv(name);
    else
      setenv(name, value, 1);
  }

 private:
  static constexpr const char* names[] = {"UNDERSTUDY_CACHE", "XDG_CACHE_HOME", "HOME"};
  std::map<std::string, std::string> before_;
};

TEST_SUITE("kernels") {
  TEST_CASE("plans of convolutions are written and read") {
    for (const ConvPlan& plan : {ConvPlan{}, ConvPlan{.kind = ConvPlan::Kind::product}, fastest})
      CHECK(parse_plan(to_string(plan)) == plan);
    for (const char* text :
         {"", "implicit ", "library", "library 1", "library 1 ", "library -1 3", "library 1 3 ",
          "library 1 3x", "library 99999999999 1", "LIBRARY 1 3", "library 1  3", "library 1000 1"})
      CHECK_FALSE(parse_plan(text));
  }

  TEST_CASE("the key of a plan tells apart everything that a choice depends on") {
    const ConvProblem base{ConvPass::forward,
                           {1, 2, 3, 4, 5, 6, 7, 8, 9, {.stride = {1, 2}, .padding = {3, 4}}},
                           Precision::fp32,
                           true};
    std::vector<ConvProblem> problems(18, base);
    problems[1].pass = ConvPass::input_gradient;
    problems[2].pass = ConvPass::weight_gradient;
    problems[3].precision = Precision::tf32;
    problems[4].precision = Precision::bf16;
    problems[5].deterministic = false;
    ++problems[6].shape.N;
    ++problems[7].shape.H;
    ++problems[8].shape.W;
    ++problems[9].shape.C;
    ++problems[10].shape.K;
    ++problems[11].shape.R;
    ++problems[12].shape.S;
    problems[13].shape.conv.stride = {2, 1};
    problems[14].shape.conv.padding = {4, 3};
    problems[15].shape.conv.dilation = {2, 1};
    problems[16].shape.conv.dilation = {1, 2};
    problems[17].shape.conv.stride = {1, 1};
    Plans keys;
    for (const ConvProblem& problem : problems) keys[plan_key("gpu", "library", problem)] = {};
    keys[plan_key("other gpu", "library", base)] = {};
    keys[plan_key("gpu", "other library", base)] = {};
    CHECK(keys.size() == problems.size() + 2);
  }

  TEST_CASE("a cache of plans finds what another one has put") {
    const TemporaryFolder folder;
    const fs::path file = folder.path() / "deep" / "er" / "convolutions.json";
    PlanCache(file).put("a \"key\"\n", fastest);
    PlanCache other(file);
    CHECK(other.find("a \"key\"\n") == fastest);
    CHECK_FALSE(other.find("another"));
    other.put("another", {});
    CHECK(PlanCache(file).find("another") == ConvPlan{});
    CHECK(PlanCache(file).find("a \"key\"\n") == fastest);
    CHECK(files_in(file.parent_path()) == 1);  // no temporary one is left
    CHECK(text_of(file) == plans_text(parse_plans(text_of(file))));
  }

  TEST_CASE("without a file plans are kept in memory") {
    PlanCache cache{fs::path()};
    CHECK_FALSE(cache.find("key"));
    cache.put("key", fastest);
    CHECK(cache.find("key") == fastest);
  }

  TEST_CASE("what is not a file of plans is ignored and then replaced") {
    const TemporaryFolder folder;
    const fs::path file = folder.path() / "convolutions.json";
    const std::string good = plans_text({{"key", fastest}});
    for (const std::string& text :
         {std::string(), std::string("{"), std::string("null"), std::string(100000, '['),
          good.substr(0, good.size() - 4), std::string("{\"format\": 1}"), std::string("\0\xFF", 2),
          std::string(good).replace(good.find("\"version\": 1"), 12, "\"version\": 2"),
          std::string(good).replace(good.find("understudy"), 10, "overstudy!"),
          std::string(good).replace(good.find("library"), 7, "liberty")}) {
      CAPTURE(text.substr(0, 100));
      write(file, text);
      PlanCache cache(file);
      CHECK_FALSE(cache.find("key"));
      cache.put("new", {});
      CHECK(parse_plans(text_of(file)) == Plans{{"new", {}}});
    }
    write(file, std::string(good).insert(good.find("\"key\""), "\"bad\": 7, "));
    CHECK(PlanCache(file).find("key") == fastest);  // only what is wrong is left out
  }

  TEST_CASE("a cache that cannot be written is no error") {
    const TemporaryFolder folder;
    const auto keeps = [](const fs::path& file) {
      PlanCache cache(file);
      CHECK_FALSE(cache.find("key"));
      cache.put("key", fastest);
      CHECK(cache.find("key") == fastest);
    };
    write(folder.path() / "file", "not a folder");
    keeps(folder.path() / "file" / "convolutions.json");
    fs::create_directories(folder.path() / "convolutions.json" / "occupied");
    keeps(folder.path() / "convolutions.json");
    CHECK(files_in(folder.path()) == 2);
    keeps("/proc/convolutions.json");
  }

  TEST_CASE("several processes write plans at once, and the file is whole at any moment") {
    const TemporaryFolder folder;
    const fs::path file = folder.path() / "convolutions.json";
    constexpr int writers = 4, plans = 25;
    PlanCache(file).put("first", fastest);
    std::vector<pid_t> children;
    for (int i = 0; i < writers; ++i) {
      const pid_t child = fork();
      REQUIRE(child >= 0);
      if (child == 0) {
        PlanCache cache(file);
        for (int j = 0; j < plans; ++j)
          cache.put(std::to_string(i) + "-" + std::to_string(j), {ConvPlan::Kind::library, i, j});
        _exit(0);
      }
      children.push_back(child);
    }
    int wrong = 0, looks = 0;
    for (int running = writers; running > 0;) {
      wrong += !parse_plans(text_of(file)).contains("first");
      ++looks;
      int status = 0;
      if (waitpid(-1, &status, WNOHANG) > 0) {
        --running;
        CHECK(status == 0);
      }
    }
    CHECK(wrong == 0);
    CHECK(looks > 0);
    // The last to write has all of its own.
    const Plans kept = parse_plans(text_of(file));
    bool whole = false;
    for (int i = 0; i < writers; ++i) {
      int count = 0;
      for (int j = 0; j < plans; ++j)
        count += static_cast<int>(kept.count(std::to_string(i) + "-" + std::to_string(j)));
      whole = whole || count == plans;
    }
    CHECK(whole);
    CHECK(files_in(folder.path()) == 1);
  }

  TEST_CASE("the file of plans lies where the environment says") {
    const Environment environment;
    const auto expect = [](const char* own, const char* cache, const char* home, const char* file) {
      Environment::set("UNDERSTUDY_CACHE", own);
      Environment::set("XDG_CACHE_HOME", cache);
      Environment::set("HOME", home);
      CHECK(PlanCache::default_file() == fs::path(file));
    };
    expect("/a", "/b", "/c", "/a/convolutions.json");
    expect("a", "/b", "/c", "a/convolutions.json");
    expect("", "/b", "/c", "");
    expect(nullptr, "/b", "/c", "/b/understudy/convolutions.json");
    expect(nullptr, "", "/c", "/c/.cache/understudy/convolutions.json");
    expect(nullptr, "relative", "/c", "/c/.cache/understudy/convolutions.json");
    expect(nullptr, nullptr, "/c", "/c/.cache/understudy/convolutions.json");
    expect(nullptr, nullptr, nullptr, "");
  }
}

}  // namespace
}  // namespace understudy::testing
