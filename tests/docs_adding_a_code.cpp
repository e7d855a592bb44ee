// The worked example of docs/adding_a_code.md is what the page shows, and works.
#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <sstream>
#include <string>

#include "docs/extrapolation.h"
#include "engine/autograd.h"
#include "kernels/check.h"
#include "models/mlp.h"

using namespace understudy;

namespace {

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

TEST_SUITE("docs") {
  TEST_CASE("the page shows the file") {
    const std::string docs = std::string(UNDERSTUDY_TEST_FILES) + "/../docs/";
    const std::string file = text_of(docs + "extrapolation.h");
    REQUIRE(!file.empty());
    const std::string page = text_of(docs + "adding_a_code.md");
    CHECK(page.find("```cpp\n" + file + "```") != std::string::npos);
    CHECK(page.find('@') == std::string::npos);  // no figure left to fill in
  }

  TEST_CASE("extrapolation is exact for an affine model") {
    NoGradGuard no_grad;
    Generator generator(1, Stream::test);
    Mlp affine({12, 5}, generator);
    Tensor groups = Tensor::empty({4, 2, 2, 2, 3});
    fill_uniform(groups, generator, -1, 1);
    Extrapolation code({2, 1});
    const Tensor outputs = ask_workers(code, affine, groups);
    const auto truth = slice(outputs, 1, 0, 2);
    Tensor lost = clone(outputs);
    for (std::int64_t g = 0; g < 4; ++g)
      slice(slice(lost, 0, g, g + 1), 1, g % 2, g % 2 + 1).fill_(std::nan(""));
    const Erasures erasures(code.shape(), {{0}, {1}, {0}, {1}}, 1);
    const double worst = sum(abs(code.complete(lost, erasures) - truth)).item();
    CHECK(worst <= 1e-4);
    CHECK_THROWS_WITH_AS(Extrapolation({3, 1}), doctest::Contains("k = 2, r = 1; got k = 3"),
                         UsageError);
  }
}
