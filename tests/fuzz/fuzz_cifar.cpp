// Any bytes, taken as a batch file and as an archive of batch files, either are refused with an
// Error or give labelled images.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "datasets/cifar.h"
#include "kernels/check.h"

namespace {

void require_valid(const understudy::CifarImages& images) {
  if (images.labels.empty() || images.pixels.size() != 3072 * images.labels.size()) std::abort();
  for (const std::uint8_t label : images.labels)
    if (label >= 10) std::abort();
  if (understudy::grey28(images.pixels).size() != 784 * images.labels.size()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace understudy;
  try {
    ByteReader reader = ByteReader::over({data, size}, "input");
    require_valid(read_cifar_batch(reader));
  } catch (const Error&) {
  }
  try {
    ByteReader reader = ByteReader::over({data, size}, "input");
    const CifarTrainTest set = read_cifar_archive(reader);
    require_valid(set.train);
    require_valid(set.test);
  } catch (const Error&) {
  }
  return 0;
}
