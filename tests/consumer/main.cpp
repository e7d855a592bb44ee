// Trains an MLP with the installed library; the last line is its test accuracy.
#include <fmt/format.h>

#include "datasets/dataset.h"
#include "datasets/loader.h"
#include "engine/autograd.h"
#include "engine/ops.h"
#include "engine/optim/optimizer.h"
#include "models/mlp.h"

using namespace understudy;

int main(int argc, char** argv) {
  const TrainTest data = load_dataset("mnist", argc > 1 ? argv[1] : "");
  Loader loader(data.train, {.batch_size = 64, .seed = 1});
  Generator generator(1);
  Mlp model({784, 100, 10}, generator);
  const auto optimizer = make_adam(model.named_parameters(), {.lr = 1e-3});

  loader.start_epoch(0);
  for (int step = 0; step < 300; ++step) {
    const Batch batch = loader.batch(step);
    optimizer->clear_gradients();
    cross_entropy(model(batch.images), batch.labels).backward();
    optimizer->step();
  }

  const NoGradGuard no_grad;
  const Batch test = Loader(data.test, {.batch_size = 10000, .shuffle = false}).batch(0);
  const Tensor correct =
      equal(cast(argmax(model(test.images)), DType::f32), cast(test.labels, DType::f32));
  const double accuracy = mean(correct).item();
  fmt::print("test accuracy {:.2f} %\n", 100 * accuracy);
  return accuracy > 0.88 ? 0 : 1;
}
