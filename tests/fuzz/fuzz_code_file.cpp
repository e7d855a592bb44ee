// Any bytes either are refused with an Error or are a file of a code, which then codes, and whose own
// file holds the same code.
#include <cstdlib>

#include "coding/code_file.h"
#include "engine/autograd.h"
#include "engine/ops.h"
#include "kernels/check.h"

namespace {

using namespace understudy;

void require(bool condition) {
  if (!condition) std::abort();
}

// Sizes of images and groups need no bytes in the file that would pay for them.
bool is_small(const CodePurpose& purpose) {
  return purpose.image.count() <= 4096 && purpose.shape.units() * purpose.image.count() <= 16384;
}

// The parities are of the right shape, and so is what is decoded; a base model whose inputs have
// another size than the images is found out here.
void use(TrainableCode& code) {
  const Shape& image = code.purpose().image;
  const CodeShape& shape = code.shape();
  const Tensor groups = Tensor::ones({1, shape.k, image[0], image[1], image[2]});
  const Tensor outputs = Tensor::ones({1, shape.units(), code.purpose().classes});
  code.encode(groups);
  code.decode(outputs, Erasures(shape, {{0}}, 1));
  try {
    for (int m = 0; m < shape.r; ++m)
      if (Module* model = code.parity_model(m)) (*model)(contiguous(select(groups, 1, 0)));
  } catch (const Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Safetensors content;
  std::unique_ptr<TrainableCode> code;
  try {
    content = parse_safetensors(std::as_bytes(std::span(data, size)), "input");
    code = read_code(content, "input");
  } catch (const Error&) {
    return 0;
  }
  NoGradGuard no_grad;
  const CodeEvaluationGuard evaluation(*code);
  if (is_small(code->purpose())) use(*code);
  const Safetensors written = code->to_safetensors();
  const auto again = read_code(written, "written");
  require(again->name() == code->name() && again->shape() == code->shape());
  require(again->to_safetensors().metadata == written.metadata);
  return 0;
}
