#include "datasets/dataset.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "datasets/cifar.h"
#include "datasets/digest.h"
#include "datasets/forms.h"
#include "datasets/idx.h"
#include "datasets/locate.h"
#include "engine/ops.h"
#include "kernels/check.h"

namespace understudy {

namespace fs = std::filesystem;

namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::int64_t classes = 10;  // of each set known here

Dataset make(const std::string& name, const Bytes& pixels, const Bytes& labels, const Shape& image,
             const PixelNormalization& normalization, std::int64_t published,
             const fs::path& source) {
  const auto count = static_cast<std::int64_t>(labels.size());
  Dataset set;
  set.name = name;
  set.images = Tensor::from<std::uint8_t>(pixels, {count, image[0], image[1], image[2]});
  set.labels = Tensor::from(std::vector<std::int64_t>(labels.begin(), labels.end()), {count});
  set.classes = classes;
  set.normalization = normalization;
  set.sample = count < published;
  set.source = source;
  set.sha256 = sha256({pixels, labels});
  return set;
}

// The constants of arXiv 1806.01259's code.
const PixelNormalization colour{{0.4914f, 0.4822f, 0.4465f}, {0.2023f, 0.1994f, 0.2010f}};

Dataset read_idx_pair(const std::string& name, const fs::path& folder, const std::string& prefix,
                      std::int64_t published) {
  const fs::path images_file = plain_or_gzip(folder, prefix + "-images-idx3-ubyte");
  const fs::path labels_file = plain_or_gzip(folder, prefix + "-labels-idx1-ubyte");
  IdxArray images = read_idx(images_file, 3);
  const IdxArray labels = read_idx(labels_file, 1);
  const std::int64_t count = images.sizes[0];
  check(images.sizes[1] == 28 && images.sizes[2] == 28, "{}: expected images of 28x28, found {}x{}",
        images_file.string(), images.sizes[1], images.sizes[2]);
  check(count > 0, "{}: expected at least one image, found none", images_file.string());
  check(labels.sizes[0] == count, "{}: expected {} labels, one for each image of {}, found {}",
        labels_file.string(), count, images_file.filename().string(), labels.sizes[0]);
  for (std::size_t i = 0; i < labels.values.size(); ++i)
    check(labels.values[i] < classes, "{}: expected labels 0 to {}, found {} at position {}",
          labels_file.string(), classes - 1, labels.values[i], i);
  if (name.find("-rotated") != std::string::npos) images.values = rotated(images.values, 28);
  // Networks that answer pictures of several sets take all of them on one scale, CIFAR-10's.
  if (name.ends_with("-rgb32"))
    return make(name, rgb32(images.values), labels.values, {32, 32, 3}, colour, published, folder);
  return make(name, images.values, labels.values, {28, 28, 1}, {{0}, {1}}, published, folder);
}

TrainTest load_cifar(const std::string& name, const std::vector<fs::path>& roots) {
  const fs::path place = locate_cifar(roots);
  std::error_code ignored;
  CifarTrainTest raw;
  if (fs::is_directory(place, ignored)) {
    raw = read_cifar_folder(place);
  } else {
    ByteReader archive = ByteReader::open(place);
    raw = read_cifar_archive(archive);
  }
  const bool grey = name == "cifar-10-grey28";
  // The grey crops are scaled like MNIST, whose networks they are for.
  const auto build = [&](CifarImages part, std::int64_t published) {
    if (grey)
      return make(name, grey28(part.pixels), part.labels, {28, 28, 1}, {{0}, {1}}, published,
                  place);
    return make(name, part.pixels, part.labels, {32, 32, 3}, colour, published, place);
  };
  TrainTest set;
  set.train = build(std::move(raw.train), 50000);
  set.test = build(std::move(raw.test), 10000);
  return set;
}

}  // namespace

const std::vector<std::string>& dataset_names() {
  static const std::vector<std::string> names = {"mnist",
                                                 "fashion-mnist",
                                                 "cifar-10",
                                                 "cifar-10-grey28",
                                                 "mnist-rgb32",
                                                 "fashion-mnist-rgb32",
                                                 "mnist-rotated",
                                                 "fashion-mnist-rotated",
                                                 "mnist-rotated-rgb32",
                                                 "fashion-mnist-rotated-rgb32"};
  return names;
}

TrainTest load_dataset(const std::string& name, const fs::path& data_dir) {
  const auto& names = dataset_names();
  if (std::find(names.begin(), names.end(), name) == names.end())
    throw UsageError(
        fmt::format("unknown data set '{}': expected one of {}", name, fmt::join(names, ", ")));
  std::error_code ignored;
  check(data_dir.empty() || fs::is_directory(data_dir, ignored),
        "{}: expected a folder that holds data sets, found none", data_dir.string());
  const std::vector<fs::path> roots = data_roots(data_dir);
  if (name.starts_with("cifar-10")) return load_cifar(name, roots);
  const fs::path folder =
      locate_idx_folder(name.starts_with("mnist") ? "mnist" : "fashion-mnist", roots);
  TrainTest set;
  set.train = read_idx_pair(name, folder, "train", 60000);
  set.test = read_idx_pair(name, folder, "t10k", 10000);
  return set;
}

Tensor images_at(const Dataset& dataset, const Tensor& index) {
  return gather_images(dataset.images, index, dataset.normalization.mean,
                       dataset.normalization.std);
}

Dataset to(const Dataset& dataset, Device device) {
  Dataset there = dataset;
  there.images = to(dataset.images, device);
  there.labels = to(dataset.labels, device);
  return there;
}

TrainTest to(const TrainTest& data, Device device) {
  return {to(data.train, device), to(data.test, device)};
}

Dataset subset(const Dataset& dataset, const std::vector<std::int64_t>& index) {
  const Tensor rows = Tensor::from(index, {std::ssize(index)}, dataset.images.device());
  Dataset part = dataset;
  part.images = gather_rows(dataset.images, rows);
  part.labels = gather_rows(dataset.labels, rows);
  const std::vector<std::int64_t> labels = part.labels.to_vector<std::int64_t>();
  const Tensor pixels = to(part.images, Device{});
  part.sha256 = sha256({pixels.data<std::uint8_t>(), Bytes(labels.begin(), labels.end())});
  return part;
}

}  // namespace understudy
