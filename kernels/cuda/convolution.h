// Convolutions: cuDNN, one product of matrices, or kernels of our own, whichever was fastest.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cuda/conv_library.h"
#include "kernels/cuda/epilogue.h"
#include "kernels/cuda/plan_cache.h"

namespace understudy::cuda {

class Products;
class Workspace;

// What a convolution works with besides its arguments.
struct ConvMeans {
  Workspace& scratch;
  Products& products;
  Numerics numerics;
};

// A pass over shapes, and how many elements it reads and writes: forward (x, w, y),
// input_gradient (dy, w, dx), weight_gradient (dy, x, dw).
struct ConvWork {
  ConvPass pass;
  ConvShape shape;

  std::size_t a_count() const;
  std::size_t b_count() const;
  std::size_t out_count() const;
  std::int64_t columns() const { return pass == ConvPass::forward ? shape.K : shape.C; }
};
template <class T>
struct ConvCall : ConvWork {
  const T* a;
  const T* b;
  T* out;
  Finish<T> finish;  // forward only
};

// Libraries read 16 bytes at a time.
inline bool takes_library(const void* data) {
  return reinterpret_cast<std::uintptr_t>(data) % 16 == 0;
}

// Memory for a while; null where there is none left. Not while work is recorded.
using OwnedMemory = Owned<void*, cudaFree>;
OwnedMemory try_device_memory(std::size_t bytes);

// The first call of a shape measures every way there is and keeps the fastest, in memory and in the
// plan cache's file; while work is being recorded nothing can be measured, and the library's first
// guess is kept in memory alone. So within a process a shape has the same bits every time; from one
// process to the next it has them where the file has its plan.
//
// float64, and shapes and addresses that the library refuses, are ours. Those are computed in
// float32 even where tf32 or bf16 was asked for, which is more than that.
class Convolutions {
 public:
  // Plans are kept in `plans`; by default in the file of the user's.
  explicit Convolutions(const Stream& stream,
                        PlanCache plans = PlanCache(PlanCache::default_file()));
  ~Convolutions();
  Convolutions(const Convolutions&) = delete;
  Convolutions& operator=(const Convolutions&) = delete;

  // As in Backend. Error for an algorithm that the CPU alone has.
  void forward(const View& y, const ConstView& x, const ConstView& w, const Conv2d& conv,
               const ConvEpilogue& epilogue, const ConvMeans& means);
  void input_gradient(const View& dx, const ConstView& dy, const ConstView& w, const Conv2d& conv,
                      const ConvMeans& means);
  void weight_gradient(const View& dw, const ConstView& dy, const ConstView& x, const Conv2d& conv,
                       const ConvMeans& means);

  std::string describe() const;  // "cuDNN 9.19.0", or that there is none

 private:
  struct Entry {
    ConvProblem problem;
    std::unique_ptr<LibraryConv> conv;  // null where the library refuses
    ConvPlan plan;
    std::optional<bool> fused;  // whether the plan also does bias and ReLU; not known yet

    // Every way to compute it, the one to take unmeasured first.
    std::vector<ConvPlan> ways() const;
    // What the library offers for such a plan; null where it does not.
    const ConvOffer* offer_of(const ConvPlan& plan) const;
  };
  using Key = std::array<std::int64_t, 16>;

  std::string key_of(const ConvProblem& problem, const ConvMeans& means) const;
  template <class T>
  void run(const ConvCall<T>& call, const ConvMeans& means);
  Entry& entry_of(const ConvCall<float>& call, const ConvMeans& means);

  // conv_choice.cpp
  void choose(Entry& entry, const ConvCall<float>& call, const ConvMeans& means);
  bool measure(Entry& entry, const std::vector<ConvPlan>& ways, const ConvCall<float>& call,
               const ConvMeans& means);
  float least_milliseconds(Entry& entry, const ConvPlan& way, const ConvCall<float>& call,
                           const ConvMeans& means, void* working, float fastest);

  // conv_ways.cpp. compute() takes any way; false when the library refuses after all. `room`: bytes_for().
  std::size_t bytes_for(const Entry& entry, const ConvPlan& plan) const;
  bool compute(Entry& entry, const ConvPlan& plan, const ConvCall<float>& call,
               const ConvMeans& means, void* room);
  bool fuses(Entry& entry, const ConvOffer& offer, const ConvCall<float>& call);
  template <class T>
  void own(const ConvCall<T>& call, void* room) const;
  template <class T>
  void product(const ConvCall<T>& call, const ConvMeans& means) const;

  const Stream& stream_;
  std::mutex mutex_;
  std::string gpu_;
  std::unique_ptr<ConvLibrary> library_;  // null where there is none
  PlanCache cache_;
  std::map<Key, std::unique_ptr<Entry>> entries_;
};

}  // namespace understudy::cuda
