// Which way to compute a convolution: by measurement, from the file of plans, or by a guess.
#include <algorithm>
#include <limits>

#include "kernels/check.h"
#include "kernels/cuda/convolution.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/products.h"

namespace understudy::cuda {
namespace {

// An algorithm with more is not worth its memory.
constexpr std::size_t most_workspace = std::size_t{1} << 30;
constexpr int rounds = 3, runs_a_round = 4;
// So many times the fastest so far is not tried a third time.
constexpr float hopeless = 1.5f;

constexpr std::size_t aligned(std::size_t bytes) { return (bytes + 255) / 256 * 256; }

}  // namespace

OwnedMemory try_device_memory(std::size_t bytes) {
  void* memory = nullptr;
  const cudaError_t error = cudaMalloc(&memory, std::max<std::size_t>(bytes, 1));
  if (error == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    return {};
  }
  UNDERSTUDY_CUDA(error);
  return OwnedMemory(memory);
}

const ConvOffer* Convolutions::Entry::offer_of(const ConvPlan& plan) const {
  if (conv == nullptr || plan.kind != ConvPlan::Kind::library) return nullptr;
  for (const ConvOffer& offer : conv->offers())
    if (offer.algorithm == plan.algorithm && offer.math == plan.math &&
        offer.workspace <= most_workspace)
      return &offer;
  return nullptr;
}

std::vector<ConvPlan> Convolutions::Entry::ways() const {
  std::vector<ConvPlan> ways;
  if (conv != nullptr)
    for (const ConvOffer& offer : conv->offers()) {
      const ConvPlan plan{ConvPlan::Kind::library, offer.algorithm, offer.math};
      if (offer_of(plan) != nullptr) ways.push_back(plan);
    }
  if (problem.shape.is_product()) ways.push_back({.kind = ConvPlan::Kind::product});
  ways.push_back({.kind = ConvPlan::Kind::implicit});
  return ways;
}

// The first way is the one to take unmeasured: the library's guess, a product, or our own.
void Convolutions::choose(Entry& entry, const ConvCall<float>& call, const ConvMeans& means) {
  const std::vector<ConvPlan> ways = entry.ways();
  entry.plan = ways.front();
  if (entry.conv == nullptr) return;
  const std::string key = key_of(entry.problem, means);
  const auto kept = cache_.find(key);
  if (kept && std::find(ways.begin(), ways.end(), *kept) != ways.end())
    entry.plan = *kept;
  else if (!stream_.recording() && measure(entry, ways, call, means))
    cache_.put(key, entry.plan);
}

// False where there is no memory to measure in.
bool Convolutions::measure(Entry& entry, const std::vector<ConvPlan>& ways,
                           const ConvCall<float>& call, const ConvMeans& means) {
  // The result goes elsewhere: what the call's own memory holds may be its residual.
  const std::size_t result = aligned(call.out_count() * sizeof(float));
  std::size_t room = 0;
  for (const ConvPlan& way : ways) room = std::max(room, bytes_for(entry, way));
  const OwnedMemory memory = try_device_memory(result + room);
  if (!memory) return false;
  ConvCall<float> tried = call;
  tried.out = static_cast<float*>(memory.get());
  tried.finish = {};
  void* const working = static_cast<std::byte*>(memory.get()) + result;

  entry.plan = ConvPlan{};  // which every shape has, should nothing else work
  float fastest = std::numeric_limits<float>::infinity();
  for (const ConvPlan& way : ways) {
    float milliseconds = fastest;
    try {
      milliseconds = least_milliseconds(entry, way, tried, means, working, fastest);
    } catch (const Error&) {
      stream_.synchronize();  // throws when the device is lost, and not only this way unusable
      continue;
    }
    if (milliseconds >= fastest) continue;
    fastest = milliseconds;
    entry.plan = way;
  }
  return true;
}

// Of some runs of one way; infinite when the library refuses it. Ends early when it cannot be less
// than `fastest`.
float Convolutions::least_milliseconds(Entry& entry, const ConvPlan& way,
                                       const ConvCall<float>& call, const ConvMeans& means,
                                       void* working, float fastest) {
  float least = std::numeric_limits<float>::infinity();
  // The first run loads code and warms caches.
  if (!compute(entry, way, call, means, working)) return least;
  const Event begin = make_timing_event(), end = make_timing_event();
  for (int round = 0; round < rounds; ++round) {
    UNDERSTUDY_CUDA(cudaEventRecord(begin.get(), stream_.use()));
    for (int run = 0; run < runs_a_round; ++run) compute(entry, way, call, means, working);
    UNDERSTUDY_CUDA(cudaEventRecord(end.get(), stream_.use()));
    UNDERSTUDY_CUDA(cudaEventSynchronize(end.get()));
    float milliseconds = 0;
    UNDERSTUDY_CUDA(cudaEventElapsedTime(&milliseconds, begin.get(), end.get()));
    least = std::min(least, milliseconds);
    if (round > 0 && milliseconds > hopeless * std::min(fastest, least)) break;
  }
  return least;
}

}  // namespace understudy::cuda
