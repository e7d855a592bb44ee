// Work as a CUDA graph: recorded once, then launched as one.
#include "kernels/check.h"
#include "kernels/cuda/cuda_backend.h"

namespace understudy::cuda {
namespace {

class CapturedGraph final : public RecordedWork {
 public:
  CapturedGraph(const Stream& stream, GraphExec exec) : stream_(stream), exec_(std::move(exec)) {}
  void run() override {
    UNDERSTUDY_CUDA(cudaGraphLaunch(exec_.get(), stream_.use()));
    stream_.finish_launch();
  }

 private:
  const Stream& stream_;
  GraphExec exec_;
};

}  // namespace

// Relaxed: memory that the step needs for the first time is taken in another stream meanwhile.
void CudaBackend::begin_recording() {
  check(!stream_.recording(), "work is being recorded on cuda:{} already", stream_.device());
  if (!before_recording_) before_recording_ = make_timing_event();
  UNDERSTUDY_CUDA(cudaEventRecord(before_recording_.get(), stream_.use()));
  UNDERSTUDY_CUDA(cudaStreamBeginCapture(stream_.use(), cudaStreamCaptureModeRelaxed));
}

std::unique_ptr<RecordedWork> CudaBackend::end_recording() {
  cudaGraph_t captured = nullptr;
  UNDERSTUDY_CUDA(cudaStreamEndCapture(stream_.use(), &captured));
  const Graph graph(captured);
  cudaGraphExec_t exec = nullptr;
  UNDERSTUDY_CUDA(cudaGraphInstantiate(&exec, graph.get(), 0));
  return std::make_unique<CapturedGraph>(stream_, GraphExec(exec));
}

}  // namespace understudy::cuda
