#include "kernels/cuda/convolution.h"

#include <limits>
#include <type_traits>

#include "kernels/check.h"
#include "kernels/cuda/conv_implicit.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/products.h"
#include "kernels/dispatch.h"

namespace understudy::cuda {
namespace {

constexpr std::size_t most_entries = 4096;

void check_algorithm(const Conv2d& conv) {
  check(conv.algorithm == ConvAlgorithm::automatic || conv.algorithm == ConvAlgorithm::implicit,
        "[conv2d] the algorithm '{}' is the CPU's alone; a GPU has 'automatic' and 'implicit'",
        to_string(conv.algorithm));
}

}  // namespace

void check_implicit(const ConvShape& s) {
  constexpr std::int64_t most = std::numeric_limits<int>::max();
  for (const std::int64_t count : {s.H * s.W * s.C, s.P * s.Q * s.K, s.K * s.R * s.S * s.C,
                                   s.H + 2 * s.conv.padding.height, s.W + 2 * s.conv.padding.width})
    check(count <= most, "[conv2d] an image or its filters have {} elements: expected {} at most",
          count, most);
}

std::size_t ConvWork::a_count() const {
  const ConvShape& s = shape;
  return static_cast<std::size_t>(pass == ConvPass::forward ? s.N * s.H * s.W * s.C
                                                            : s.N * s.P * s.Q * s.K);
}
std::size_t ConvWork::b_count() const {
  const ConvShape& s = shape;
  return static_cast<std::size_t>(pass == ConvPass::weight_gradient ? s.N * s.H * s.W * s.C
                                                                    : s.K * s.R * s.S * s.C);
}
std::size_t ConvWork::out_count() const {
  const ConvShape& s = shape;
  switch (pass) {
    case ConvPass::forward:
      return static_cast<std::size_t>(s.N * s.P * s.Q * s.K);
    case ConvPass::input_gradient:
      return static_cast<std::size_t>(s.N * s.H * s.W * s.C);
    case ConvPass::weight_gradient:
      break;
  }
  return static_cast<std::size_t>(s.K * s.R * s.S * s.C);
}

Convolutions::Convolutions(const Stream& stream, PlanCache plans)
    : stream_(stream), library_(make_conv_library(stream)), cache_(std::move(plans)) {
  cudaDeviceProp properties;
  UNDERSTUDY_CUDA(cudaGetDeviceProperties(&properties, stream.device()));
  gpu_ = properties.name;
}

Convolutions::~Convolutions() = default;

std::string Convolutions::describe() const {
  return library_ == nullptr ? "no cuDNN" : library_->describe();
}

std::string Convolutions::key_of(const ConvProblem& problem, const ConvMeans& means) const {
  // Counted on when a kernel of ours becomes faster or slower, so that it is measured again.
  constexpr int own_version = 1;
  const std::string competitors =
      fmt::format("{}, {}, own {}", describe(), means.products.describe(), own_version);
  return plan_key(gpu_, competitors, problem);
}

Convolutions::Entry& Convolutions::entry_of(const ConvCall<float>& call, const ConvMeans& means) {
  const ConvShape& s = call.shape;
  const Conv2d& c = s.conv;
  const Key key = {static_cast<int>(call.pass),
                   static_cast<int>(means.numerics.precision),
                   means.numerics.deterministic,
                   s.N,
                   s.H,
                   s.W,
                   s.C,
                   s.K,
                   s.R,
                   s.S,
                   c.stride.height,
                   c.stride.width,
                   c.padding.height,
                   c.padding.width,
                   c.dilation.height,
                   c.dilation.width};
  const auto found = entries_.find(key);
  if (found != entries_.end()) return *found->second;
  auto entry = std::make_unique<Entry>();
  entry->problem = {call.pass, s, means.numerics.precision, means.numerics.deterministic};
  if (library_ != nullptr) entry->conv = library_->prepare(entry->problem);
  choose(*entry, call, means);
  if (entries_.size() >= most_entries) entries_.clear();
  return *entries_.emplace(key, std::move(entry)).first->second;
}

template <class T>
void Convolutions::run(const ConvCall<T>& call, const ConvMeans& means) {
  const ConvShape& s = call.shape;
  check_algorithm(s.conv);
  if (call.out_count() == 0) return;
  const bool empty = call.a_count() == 0 || call.b_count() == 0;
  // A residual in the place of the result is read before that is written by our kernels alone.
  const bool in_place = call.finish.residual == call.out;
  const bool automatic = s.conv.algorithm == ConvAlgorithm::automatic && !empty && !in_place;
  const auto by_own_kernels = [&] {
    const std::size_t bytes =
        call.pass == ConvPass::weight_gradient ? weight_gradient_bytes(s, dtype_of<T>) : 0;
    own(call, bytes == 0 ? nullptr : means.scratch.get(bytes));
  };
  const std::scoped_lock lock(mutex_);
  static_cast<void>(stream_.use());  // the libraries want their device to be the current one
  if constexpr (std::is_same_v<T, float>) {
    if (automatic && takes_library(call.a) && takes_library(call.b) && takes_library(call.out)) {
      Entry& entry = entry_of(call, means);
      const std::size_t bytes = bytes_for(entry, entry.plan);
      if (compute(entry, entry.plan, call, means, bytes == 0 ? nullptr : means.scratch.get(bytes)))
        return;
      entry.plan = ConvPlan{};  // refused after all, and for good
    }
  } else if (automatic && s.is_product()) {
    return product(call, means);
  }
  by_own_kernels();
}

void Convolutions::forward(const View& y, const ConstView& x, const ConstView& w,
                           const Conv2d& conv, const ConvEpilogue& epilogue,
                           const ConvMeans& means) {
  with_float(y.dtype, [&]<class T>(Type<T>) {
    run(ConvCall<T>{{ConvPass::forward, conv_shape(x.shape, w.shape, y.shape, conv)},
                    x.as<T>(),
                    w.as<T>(),
                    y.as<T>(),
                    Finish<T>::of(epilogue)},
        means);
  });
}

void Convolutions::input_gradient(const View& dx, const ConstView& dy, const ConstView& w,
                                  const Conv2d& conv, const ConvMeans& means) {
  with_float(dx.dtype, [&]<class T>(Type<T>) {
    run(ConvCall<T>{{ConvPass::input_gradient, conv_shape(dx.shape, w.shape, dy.shape, conv)},
                    dy.as<T>(),
                    w.as<T>(),
                    dx.as<T>(),
                    {}},
        means);
  });
}

void Convolutions::weight_gradient(const View& dw, const ConstView& dy, const ConstView& x,
                                   const Conv2d& conv, const ConvMeans& means) {
  with_float(dw.dtype, [&]<class T>(Type<T>) {
    run(ConvCall<T>{{ConvPass::weight_gradient, conv_shape(x.shape, dw.shape, dy.shape, conv)},
                    dy.as<T>(),
                    x.as<T>(),
                    dw.as<T>(),
                    {}},
        means);
  });
}

}  // namespace understudy::cuda
