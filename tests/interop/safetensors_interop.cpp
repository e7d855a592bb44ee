// Our half of the exchange with the Python package (safetensors_interop.py runs it):
//   safetensors_interop write FILE          every type, a scalar, an empty tensor, metadata
//   safetensors_interop list FILE           a line a tensor: name, type, shape and every element
//   safetensors_interop rewrite FROM TO     what we read from FROM, written again
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>

#include "engine/nn/linear.h"
#include "engine/nn/sequential.h"
#include "engine/ops.h"
#include "engine/safetensors.h"
#include "kernels/check.h"

namespace {

using namespace understudy;

// The Python script expects these very values.
Safetensors example() {
  const double inf = std::numeric_limits<double>::infinity();
  Safetensors s;
  s.metadata = {{"format", "pt"}, {"note", "line one\nline \"two\" \xc3\xbc"}};
  s.tensors.emplace_back("u8", Tensor::from(std::vector<std::uint8_t>{0, 1, 127, 255, 7}, {5}));
  s.tensors.emplace_back(
      "f32", Tensor::from(std::vector<float>{1.5f, -0.0f, 3e-39f, -INFINITY, 2, 4}, {2, 3}));
  s.tensors.emplace_back("f64",
                         Tensor::from(std::vector<double>{0.1, -1e300, inf, 5e-324}, {2, 2}));
  s.tensors.emplace_back("i32",
                         Tensor::from(std::vector<std::int32_t>{INT32_MIN, -1, INT32_MAX}, {3}));
  s.tensors.emplace_back("i64",
                         Tensor::from(std::vector<std::int64_t>{INT64_MIN, INT64_MAX}, {2, 1}));
  s.tensors.emplace_back("scalar.i64",
                         Tensor::from(std::vector<std::int64_t>{9007199254740993}, {}));
  s.tensors.emplace_back("scalar.f32", Tensor::from(std::vector<float>{0.1f}, {}));
  s.tensors.emplace_back("empty", Tensor::zeros({0, 3}));
  s.tensors.emplace_back("strided", transpose(s.at("f32")));
  // The Base-MLP's names and shapes, as PyTorch's nn.Sequential has them.
  Generator generator(1);
  Sequential mlp(Linear(784, 200, generator), ReLU(), Linear(200, 100, generator), ReLU(),
                 Linear(100, 10, generator));
  for (const NamedTensor& named : mlp.state_dict())
    s.tensors.emplace_back("mlp." + named.name, named.tensor);
  return s;
}

template <class T>
void print_elements(const Tensor& tensor) {
  for (const T value : tensor.to_vector<T>()) {
    if constexpr (std::is_floating_point_v<T>)
      std::printf(" %a", static_cast<double>(value));  // exact
    else
      std::printf(" %lld", static_cast<long long>(value));
  }
}

void list(const char* file) {
  const Safetensors s = read_safetensors(file);
  for (const auto& [key, value] : s.metadata)
    std::printf("metadata %s %zu\n", key.c_str(), value.size());
  for (const auto& [name, tensor] : s.tensors) {
    std::printf("%s %s %s:", name.c_str(), to_string(tensor.dtype()),
                to_string(tensor.shape()).c_str());
    switch (tensor.dtype()) {
      case DType::f32:
        print_elements<float>(tensor);
        break;
      case DType::f64:
        print_elements<double>(tensor);
        break;
      case DType::u8:
        print_elements<std::uint8_t>(tensor);
        break;
      case DType::i32:
        print_elements<std::int32_t>(tensor);
        break;
      case DType::i64:
        print_elements<std::int64_t>(tensor);
        break;
    }
    std::printf("\n");
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc == 3 && !std::strcmp(argv[1], "write"))
      write_safetensors(argv[2], example());
    else if (argc == 3 && !std::strcmp(argv[1], "list"))
      list(argv[2]);
    else if (argc == 4 && !std::strcmp(argv[1], "rewrite"))
      write_safetensors(argv[3], read_safetensors(argv[2]));
    else
      throw UsageError("expected write FILE, list FILE or rewrite FROM TO");
  } catch (const Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return dynamic_cast<const UsageError*>(&e) ? 2 : 1;
  }
}
