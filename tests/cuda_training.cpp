// What training asks of a device beside its ops: batches gathered there, sums that are kept there,
// gradients clipped without reading, and messages about its memory.
#include <doctest/doctest.h>

#include <filesystem>
#include <limits>

#include "datasets/batch_feed.h"
#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/optim/optimizer.h"
#include "engine/random.h"
#include "engine/repeated_step.h"
#include "kernels/op_name.h"
#include "models/registry.h"
#include "tests/cuda_device.h"
#include "tests/error_text.h"
#include "tools/runs/evaluate.h"
#include "tools/runs/step_sums.h"
#ifdef UNDERSTUDY_EMULATED_CUDA
#include "emulated.h"
#endif

using namespace understudy;
using namespace understudy::testing;

namespace {

Dataset sample() {
  const auto folder = std::filesystem::path(UNDERSTUDY_TEST_FILES).parent_path() / "datasets/data";
  return load_dataset("cifar-10", folder).train;
}

template <class T>
bool same(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() && a.to_vector<T>() == b.to_vector<T>();
}

}  // namespace

TEST_SUITE_BEGIN("cuda");

TEST_CASE("cuda: a feed gives the CPU's batches, eager and recorded, from any place of an epoch") {
  if (skipped()) return;
  const Dataset here = sample(), there = to(here, gpu);
  for (const bool augments : {false, true}) {
    const LoaderOptions options{.batch_size = 30,
                                .seed = 5,
                                .augmentation = augments ? crop_and_flip(32, 32) : Augmentation{}};
    const std::vector<std::int64_t> index = Tensor::arange(100).to_vector<std::int64_t>();
    Loader expected(here, options, index), loader(there, options, index);
    BatchFeed feed(loader, 1);
    // Each step leaves copies behind, in memory of its own.
    Batch of_whole, of_last;
    const auto copy_to = [&](Batch& seen) {
      return [&feed, &seen] {
        const Batch& batch = feed.batch();
        seen = {clone(batch.images), clone(batch.labels), clone(batch.index), {}};
      };
    };
    RepeatedStep whole(gpu, StepMode::recorded, copy_to(of_whole));
    RepeatedStep last(gpu, StepMode::recorded, copy_to(of_last));
    for (const std::int64_t epoch : {0, 1, 2, 7}) {
      const std::int64_t begin = epoch == 7 ? 2 : 0;
      expected.start_epoch(epoch);
      feed.start_epoch(epoch, begin);
      for (std::int64_t i = begin; i < expected.batches(); ++i) {
        CAPTURE(augments);
        CAPTURE(epoch);
        CAPTURE(i);
        feed.advance();
        REQUIRE(feed.is_whole() == (i < 3));
        (feed.is_whole() ? whole : last).run();
        const Batch& seen = feed.is_whole() ? of_whole : of_last;
        const Batch batch = expected.batch(i);
        CHECK(same<float>(seen.images, batch.images));
        CHECK(same<std::int64_t>(seen.labels, batch.labels));
        CHECK(same<std::int64_t>(seen.index, batch.index));
      }
      CHECK_THROWS_AS(feed.advance(), Error);
    }
  }
}

TEST_CASE("cuda: a loader on the device gives the CPU's batches, and nothing to prefetch") {
  if (skipped()) return;
  const Dataset here = sample(), there = to(here, gpu);
  const LoaderOptions options{.batch_size = 64, .seed = 2, .augmentation = crop_and_flip(32, 32)};
  const Loader expected(here, options);
  Loader loader(there, options);
  const Batch a = expected.batch(1), b = loader.batch(1);
  CHECK(b.images.device() == gpu);
  CHECK(same<float>(b.images, a.images));
  CHECK(same<std::int64_t>(b.labels, a.labels));
  CHECK(same<std::int32_t>(b.placement, a.placement));
  CHECK_THROWS_AS(Prefetcher(loader, 1), Error);
  CHECK(subset(there, {3, 1}).sha256 == subset(here, {3, 1}).sha256);
}

TEST_CASE("cuda: correct answers and a score are the CPU's") {
  if (skipped()) return;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor logits = Tensor::from(std::vector<float>{nan, 1, 2, 0, 5, nan, 3, 3}, {4, 2});
  for (const std::int64_t label : {0, 1}) {
    const Tensor labels = Tensor::full({4}, static_cast<double>(label), DType::i64);
    CHECK(correct_answers(to(logits, gpu), to(labels, gpu)).item() ==
          correct_answers(logits, labels).item());
  }
  const Dataset here = sample();
  Generator generator(3);
  const auto model = make_model({.name = "mlp", .input = {32, 32, 3}, .hidden = {16}}, generator);
  const Score expected = evaluate(*model, here, {5, 1, 9, 30});
  model->to(gpu);
  const Score found = evaluate(*model, to(here, gpu), {5, 1, 9, 30});
  CHECK(found.accuracy == expected.accuracy);
  CHECK(std::abs(found.loss - expected.loss) <= 1e-6 * expected.loss);
}

TEST_CASE("cuda: sums are in double, and are read when it is time") {
  if (skipped()) return;
  StepSums sums(gpu, {1, 1e15}), here(Device{}, {0});
  const Tensor third = Tensor::full({}, 1.0 / 3, DType::f64, gpu);
  const Tensor one = Tensor::ones({}, DType::f32, gpu);
  RepeatedStep step(gpu, StepMode::recorded, [&] { sums.add({third, one}); });
  for (int i = 0; i < 6; ++i) step.run();
  double expected = 1;
  for (int i = 0; i < 6; ++i) expected += 1.0 / 3;
  CHECK(sums.read() == std::vector<double>{expected, 1e15 + 6});
  CHECK(here.due());
  CHECK(!sums.due());  // read a moment ago
  sums.set({0, 7});
  CHECK(sums.read() == std::vector<double>{0, 7});
  CHECK_THROWS_AS(sums.add({one}), Error);
}

TEST_CASE("cuda: gradients are clipped as on the CPU") {
  if (skipped()) return;
  for (const double limit : {0.1, 1e3}) {
    CAPTURE(limit);
    const auto clipped = [&](Device device) {
      Generator generator(9);
      Tensor a = Tensor::empty({5, 7}), b = Tensor::empty({11});
      for (Tensor* x : {&a, &b}) fill_normal(*x, generator, 0, 1);
      std::vector<NamedTensor> parameters = {{"a", to(a, device)}, {"b", to(b, device)}};
      for (NamedTensor& named : parameters) named.tensor.set_grad(clone(named.tensor));
      std::vector<float> all = {static_cast<float>(clip_gradient_norm(parameters, limit).item())};
      for (const NamedTensor& named : parameters)
        for (const float value : named.tensor.grad().to_vector<float>()) all.push_back(value);
      return all;
    };
    const auto here = clipped(Device{}), there = clipped(gpu);
    REQUIRE(here.size() == there.size());
    for (std::size_t i = 0; i < here.size(); ++i)
      CHECK(std::abs(there[i] - here[i]) <= 1e-6 * std::abs(here[i]));
  }
}

#ifdef UNDERSTUDY_EMULATED_CUDA
TEST_CASE("cuda: a full device says who asked, what is held and what is free") {
  if (skipped()) return;
  release_cached_memory(gpu);
  const std::int64_t in_use = allocator_statistics(gpu).bytes_in_use;
  emulated::set_memory(emulated::memory_in_use() + (64 << 20));
  {
    const Tensor large = Tensor::zeros({48 << 20}, DType::u8, gpu);
    const OpName op("conv2d");
    const std::string text = error_text([] { Tensor::empty({32 << 20}, DType::u8, gpu); });
    CAPTURE(text);
    CHECK(
        text.starts_with("[conv2d] out of memory: a block of 33554432 bytes (32.0 MiB) cannot be "
                         "had on cuda:0; this process holds "));
    CHECK(text.find("GiB of cuda:0 are free; use smaller batches") != std::string::npos);
  }
  // What was freed in another size class is given back for it.
  const Tensor fits = Tensor::zeros({56 << 20}, DType::u8, gpu);
  CHECK(allocator_statistics(gpu).bytes_in_use >= in_use + (56 << 20));
  emulated::set_memory(std::size_t{1} << 30);
}
#endif

TEST_SUITE_END();
