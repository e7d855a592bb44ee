// How a convolution is chosen: by measurement, from the file of plans, by a guess. On the emulated GPU
// alone, whose library does as it is told.
#ifdef UNDERSTUDY_EMULATED_CUDA

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "emulated.h"
#include "emulated_libraries.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/plan_cache.h"
#include "tests/conv_reference.h"
#include "tests/cuda_arrays.h"
#include "tests/temporary_folder.h"

namespace understudy::testing {
namespace {

struct Manners {
  explicit Manners(const emulated::LibraryManners& m) { emulated::set_library_manners(m); }
  ~Manners() { emulated::set_library_manners({}); }
};

// A backend of its own, with its plans in a folder: what another run of a program would have.
class Run {
 public:
  explicit Run(const std::filesystem::path& folder) {
    setenv("UNDERSTUDY_CACHE", folder.c_str(), 1);
    backend_ = std::make_unique<cuda::CudaBackend>(0);
    setenv("UNDERSTUDY_CACHE", "", 1);
  }
  Backend& operator*() { return *backend_; }
  Backend* operator->() { return backend_.get(); }

 private:
  std::unique_ptr<cuda::CudaBackend> backend_;
};

std::string text_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
cuda::Plans plans_in(const std::filesystem::path& folder) {
  return cuda::parse_plans(text_of(folder / "convolutions.json"));
}

// Images and filters of one problem, and each pass against the definition.
struct Case {
  explicit Case(const ConvProblem& problem)
      : s(problem),
        x(OnGpu<float>::uniform(s.x(), Layout::dense, 1, -1, 1)),
        w(OnGpu<float>::uniform(s.w(), Layout::dense, 2, -1, 1)),
        dy(OnGpu<float>::uniform(s.y(), Layout::dense, 3, -1, 1)),
        bias(OnGpu<float>::uniform({s.K}, Layout::dense, 4, -1, 1)),
        want(conv_reference(s, values_of(x.before()), values_of(w.before()),
                            values_of(dy.before()))) {}

  double error(const Array<float>& got, const std::vector<double>& exact) const {
    double worst = 0;
    for (std::size_t i = 0; i < exact.size(); ++i)
      worst = std::max(worst, mismatch(double{got[static_cast<std::int64_t>(i)]}, exact[i]));
    return worst;
  }
  void check_forward(Backend& backend) const {
    OnGpu<float> y(s.y());
    backend.conv2d(y, x, w, s.conv, {});
    CHECK(error(y.now(), want.y) <= 1e-4);
  }
  void check_fused(Backend& backend) const {
    OnGpu<float> y(s.y());
    const ConstView shift = bias;
    backend.conv2d(y, x, w, s.conv, {.bias = &shift, .relu = true});
    std::vector<double> exact = want.y;
    for (std::size_t i = 0; i < exact.size(); ++i)
      exact[i] =
          std::max(0.0, exact[i] + double{bias.before()[static_cast<std::int64_t>(i) % s.K]});
    CHECK(error(y.now(), exact) <= 1e-4);
  }
  void check_gradients(Backend& backend) const {
    OnGpu<float> dx(s.x()), dw(s.w());
    backend.conv2d_input_gradient(dx, dy, w, s.conv);
    CHECK(error(dx.now(), want.dx) <= 1e-4);
    backend.conv2d_weight_gradient(dw, dy, x, s.conv);
    CHECK(error(dw.now(), want.dw) <= 1e-4);
  }

  ConvProblem s;
  OnGpu<float> x, w, dy, bias;
  ConvReference want;
};

const ConvProblem small{2, 5, 6, 4, 8, 3, 3, {.padding = 1}};

TEST_SUITE("cuda") {
  TEST_CASE("cuda: the convolution that was fastest is kept in a file, and not measured again") {
    const TemporaryFolder folder;
    const Case c(small);
    for (const int fastest : {0, 1, 7}) {
      const std::filesystem::path here = folder.path() / std::to_string(fastest);
      {
        const Manners manners({.fastest = fastest});
        Run run(here);
        c.check_forward(*run);
        CHECK(emulated::library_counts().last_convolution == fastest);
        const cuda::Plans plans = plans_in(here);
        REQUIRE(plans.size() == 1);
        CHECK(plans.begin()->first ==
              "emulated GPU; cuDNN 9.19.0, cuBLASLt 13.1.1, own 1; fp32, deterministic; forward N2 "
              "H5 W6 C4 K8 R3 S3 stride 1x1 padding 1x1 dilation 1x1");
        CHECK(to_string(plans.begin()->second) == fmt::format("library {} 3", fastest));
      }
      Run next(here);
      const long before = emulated::library_counts().convolutions;
      c.check_forward(*next);
      CHECK(emulated::library_counts().convolutions - before == 1);
      CHECK(emulated::library_counts().last_convolution == fastest);
    }
  }

  TEST_CASE("cuda: a file of plans that is damaged, foreign or of another library is no obstacle") {
    const TemporaryFolder folder;
    const Case c(small);
    const auto file = folder.path() / "convolutions.json";
    {
      Run run(folder.path());
      c.check_forward(*run);
    }
    const std::string good = text_of(file);
    const std::size_t at = good.find("library");
    REQUIRE(at != good.npos);
    for (const std::string& text :
         {std::string(), good.substr(0, good.size() / 2), std::string("[1, 2]"),
          std::string(good).replace(at, 9, "library 4"),     // not offered for NHWC
          std::string(good).replace(at, 11, "library 1 0"),  // TF32, which fp32 must not be
          std::string(good).replace(at, 7, "product")}) {
      CAPTURE(text);
      std::ofstream(file, std::ios::binary | std::ios::trunc) << text;
      Run run(folder.path());
      c.check_forward(*run);
      CHECK(plans_in(folder.path()).size() == 1);
    }
  }

  TEST_CASE("cuda: deterministic convolutions leave out the library's other ones") {
    const Manners manners({.fastest = 0});  // for gradients the one that is not deterministic
    const Case c(small);
    for (const bool deterministic : {true, false}) {
      const TemporaryFolder folder;
      Run run(folder.path());
      run->set_numerics({.deterministic = deterministic});
      c.check_gradients(*run);
      CHECK((emulated::library_counts().last_convolution == 0) == !deterministic);
      OnGpu<float> first(c.s.w()), again(c.s.w());
      run->conv2d_weight_gradient(first, c.dy, c.x, c.s.conv);
      run->conv2d_weight_gradient(again, c.dy, c.x, c.s.conv);
      CHECK(same_bits(first.now(), again.now()) == deterministic);
    }
  }

  TEST_CASE("cuda: shapes that the library refuses, at once or when run, are our own kernels'") {
    const Case c(small);
    for (const emulated::LibraryManners& m :
         {emulated::LibraryManners{.refuses_convolutions = true},
          emulated::LibraryManners{.fails_at_run = true}}) {
      const Manners manners(m);
      const TemporaryFolder folder;
      Run run(folder.path());
      const long before = emulated::library_counts().convolutions;
      c.check_forward(*run);
      c.check_fused(*run);
      c.check_gradients(*run);
      CHECK(emulated::library_counts().convolutions == before);
      for (const auto& [key, plan] : plans_in(folder.path()))
        CHECK(plan.kind == cuda::ConvPlan::Kind::implicit);
    }
    // What was chosen once, and is refused later.
    const TemporaryFolder folder;
    Run run(folder.path());
    {
      const Manners manners({.fastest = 1});
      c.check_forward(*run);
    }
    const Manners manners({.fails_at_run = true});
    c.check_forward(*run);
  }

  TEST_CASE("cuda: bias and ReLU are the library's where it has them and keeps a NaN") {
    const Case c(small);
    auto image = c.x.before();
    image.at({0, 2, 2, 1}) = NAN;
    const OnGpu<float> poisoned(image);
    struct Expected {
      emulated::LibraryManners manners;
      bool fused;
    };
    for (const Expected& e :
         {Expected{{.fastest = 1}, true}, Expected{{.refuses_fused = true, .fastest = 1}, false},
          Expected{{.relu_drops_nan = true, .fastest = 1}, false}}) {
      const Manners manners(e.manners);
      const TemporaryFolder folder;
      Run run(folder.path());
      c.check_fused(*run);
      const long before = emulated::library_counts().fused_convolutions;
      c.check_fused(*run);
      CHECK((emulated::library_counts().fused_convolutions - before == 1) == e.fused);
      OnGpu<float> y(c.s.y());
      const ConstView shift = c.bias;
      run->conv2d(y, poisoned, c.w, c.s.conv, {.bias = &shift, .relu = true});
      CHECK(std::isnan(y.now()[(2 * c.s.Q() + 2) * c.s.K]));
    }
  }

  TEST_CASE(
      "cuda: a shape that is first seen while recording is the library's guess, from then on") {
    const TemporaryFolder folder;
    const Case c(small);
    Run run(folder.path());
    OnGpu<float> y(c.s.y());
    const ConstView shift = c.bias;
    const ConvEpilogue epilogue{.bias = &shift, .relu = true};
    const long before = emulated::library_counts().convolutions;
    run->begin_recording();
    run->conv2d(y, c.x, c.w, c.s.conv, epilogue);
    const auto work = run->end_recording();
    CHECK(emulated::library_counts().convolutions - before == 1);
    work->run();
    run->synchronize();
    const Array<float> recorded = y.now();
    const Manners manners({.fastest = 0});
    c.check_fused(*run);
    CHECK(emulated::library_counts().last_convolution == 1);
    OnGpu<float> eager(c.s.y());
    run->conv2d(eager, c.x, c.w, c.s.conv, epilogue);
    CHECK(same_bits(eager.now(), recorded));
    CHECK(plans_in(folder.path()).empty());
  }

  TEST_CASE("cuda: without memory to measure in, the library's guess is taken") {
    const TemporaryFolder folder;
    const Case c(small);
    {
      Run run(folder.path());
      OnGpu<float> y(c.s.y());
      // As much as the guess works with, and not that and a result besides.
      emulated::set_memory(emulated::memory_in_use() + 2500);
      run->conv2d(y, c.x, c.w, c.s.conv, {});
      emulated::set_memory(std::size_t{1} << 30);
      CHECK(c.error(y.now(), c.want.y) <= 1e-4);
      CHECK(emulated::library_counts().last_convolution == 1);
      CHECK(plans_in(folder.path()).empty());
    }
    emulated::reset();
  }

  TEST_CASE("cuda: an algorithm that wants more memory than it is worth is left out") {
    const TemporaryFolder folder;
    const Manners manners({.hungry = 1, .fastest = 1});
    const Case c(small);
    Run run(folder.path());
    c.check_forward(*run);
    REQUIRE(plans_in(folder.path()).size() == 1);
    CHECK(plans_in(folder.path()).begin()->second.algorithm != 1);
    // Unmeasured, too.
    OnGpu<float> y(c.s.y());
    Run another(folder.path() / "empty");
    another->begin_recording();
    another->conv2d(y, c.x, c.w, c.s.conv, {});
    const auto work = another->end_recording();
    CHECK(emulated::library_counts().last_convolution != 1);
  }

  TEST_CASE("cuda: an algorithm that ends in an error is not chosen, and the others are measured") {
    const TemporaryFolder folder;
    const Case c(small);
    for (const int fastest : {1, 7}) {
      const Manners manners({.broken = 1, .fastest = fastest});
      const std::filesystem::path here = folder.path() / std::to_string(fastest);
      Run run(here);
      c.check_forward(*run);
      const cuda::Plans plans = plans_in(here);
      REQUIRE(plans.size() == 1);
      CHECK((to_string(plans.begin()->second) == "library 7 3") == (fastest == 7));
      CHECK(to_string(plans.begin()->second) != "library 1 3");
      c.check_forward(*run);
    }
  }

  // x · (1 + 2^-12) is exact in float32, and x in tf32.
  TEST_CASE("cuda: the library computes in the precision that was asked for") {
    const ConvProblem s{1, 4, 4, 8, 8, 3, 3, {.padding = 1}};
    const float twelfth = 1 + 1.0f / 4096;
    Array<float> image(s.x()), filter(s.w());
    for_each_index(s.x(), [&](const Dims& i) { image.at(i) = 1; });
    for_each_index(s.w(), [&](const Dims& i) {
      filter.at(i) = i[0] == i[3] && i[1] == 1 && i[2] == 1 ? twelfth : 0;
    });
    const OnGpu<float> x(image), w(filter);
    for (const int fastest : {0, 1, 7})
      for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16}) {
        const Manners manners({.fastest = fastest});
        const TemporaryFolder folder;
        Run run(folder.path());
        run->set_numerics({.precision = precision});
        OnGpu<float> y(s.y());
        run->conv2d(y, x, w, s.conv, {});
        CHECK(emulated::library_counts().last_convolution == fastest);
        CHECK(y.now()[5] == (precision == Precision::fp32 ? twelfth : 1.0f));
      }
  }

  TEST_CASE("cuda: our own kernels have the same bits in either order of blocks and threads") {
    Case c({3, 9, 9, 12, 70, 3, 3, {.padding = 1, .algorithm = ConvAlgorithm::implicit}});
    const std::vector<ConstView> views = {std::as_const(c.dy)};
    const auto results = [&] {
      OnGpu<float> y(c.s.y()), dx(c.s.x()), dw(c.s.w()), squares(c.s.w());
      gpu_backend().conv2d(y, c.x, c.w, c.s.conv, {});
      gpu_backend().conv2d_input_gradient(dx, c.dy, c.w, c.s.conv);
      gpu_backend().conv2d_weight_gradient(dw, c.dy, c.x, c.s.conv);
      gpu_backend().conv2d_squared_weight_gradients(squares, views, c.x, c.s.conv);
      return std::vector<Array<float>>{y.now(), dx.now(), dw.now(), squares.now()};
    };
    const auto forward = results();
    emulated::set_reversed(true);
    const auto reversed = results();
    emulated::set_reversed(false);
    for (std::size_t i = 0; i < forward.size(); ++i) CHECK(same_bits(forward[i], reversed[i]));
  }
}

}  // namespace
}  // namespace understudy::testing

#endif
