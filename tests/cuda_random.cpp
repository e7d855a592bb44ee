// Random numbers on a GPU: those of the CPU.
#include "tests/cuda_arrays.h"

namespace understudy::testing {
namespace {

const PhiloxKey key{0x1234567890ABCDEFu, 0xFEDCBA0987654321u};

// `count` draws into the middle of an array, from its element `skip` on.
template <class T>
View run_of(const View& whole, std::int64_t skip, std::int64_t count) {
  return {whole.as<T>() + skip, whole.dtype, Dims{count}, Dims{1}};
}

template <class T, class Check>
void for_draws(Check&& check) {
  if (skipped()) return;
  for (const std::int64_t count : {0, 1, 2, 3, 4, 5, 7, 8, 1001, 4096})
    for (const std::int64_t skip : {0, 1, 2})
      for (const std::uint64_t first : {std::uint64_t{0}, (std::uint64_t{1} << 32) - 3}) {
        INFO(fmt::format("{} from {}, block {}", count, skip, first));
        Array<T> want(Dims{count + 8});
        OnGpu<T> out(want);
        check(run_of<T>(want, skip, count), run_of<T>(out, skip, count), first, want, out);
      }
}

}  // namespace

TEST_SUITE("cuda") {
  TEST_CASE_TEMPLATE("cuda: uniform draws have the CPU's bits", T, float, double) {
    for_draws<T>([](const View& here, const View& there, std::uint64_t first, const Array<T>& want,
                    const OnGpu<T>& out) {
      cpu_backend().uniform(here, key, first, -0.3, 1.7);
      gpu_backend().uniform(there, key, first, -0.3, 1.7);
      CHECK(same_bits(out.now(), want));
    });
  }

  // Logarithm, sine and cosine are each side's own, within an ulp or two of double.
  TEST_CASE_TEMPLATE("cuda: normal draws are the CPU's but for the last bits", T, float, double) {
    for_draws<T>([](const View& here, const View& there, std::uint64_t first, const Array<T>& want,
                    const OnGpu<T>& out) {
      cpu_backend().normal(here, key, first, 0.5, 2);
      gpu_backend().normal(there, key, first, 0.5, 2);
      const Array<T> got = out.now();
      CHECK(worst_mismatch(got, [&](const Dims& i) { return double{want.at(i)}; }) <=
            8 * rounding<T>);
      CHECK(got.guards_intact());
    });
  }
}

}  // namespace understudy::testing
