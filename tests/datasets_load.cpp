// Data sets by name: the search order, the layouts, the bundled data, and what is refused.
#include <doctest/doctest.h>
#include <stdlib.h>

#include <array>
#include <cstdlib>
#include <optional>
#include <set>
#include <string>

#include "datasets/cifar.h"
#include "datasets/dataset.h"
#include "datasets/digest.h"
#include "datasets/forms.h"
#include "datasets/idx.h"
#include "datasets/locate.h"
#include "tests/datasets_files.h"

using namespace understudy;
using namespace understudy::testing;
namespace fs = std::filesystem;

namespace {

// Sets an environment variable for a scope.
class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    setenv(name, value.c_str(), 1);
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment() {
    if (old_)
      setenv(name_, old_->c_str(), 1);
    else
      unsetenv(name_);
  }

 private:
  const char* name_;
  std::optional<std::string> old_;
};

// `train` training images and 10 test images in `where`, a folder in `folder`.
void write_idx_set(const TemporaryFolder& folder, const std::string& where, std::uint32_t train,
                   bool compress = false) {
  const auto put = [&](const std::string& name, const Bytes& bytes) {
    write(folder, where + "/" + name + (compress ? ".gz" : ""), compress ? gzip(bytes) : bytes);
  };
  put("train-images-idx3-ubyte", idx({train, 28, 28}, 251));
  put("train-labels-idx1-ubyte", idx({train}));
  put("t10k-images-idx3-ubyte", idx({10, 28, 28}, 241));
  put("t10k-labels-idx1-ubyte", idx({10}));
}

void write_cifar_set(const TemporaryFolder& folder, const std::string& where, int records = 2) {
  for (int i = 1; i <= 5; ++i)
    write(folder, where + "/data_batch_" + std::to_string(i) + ".bin", cifar_records(records));
  write(folder, where + "/test_batch.bin", cifar_records(records));
}

std::string load_error(const std::string& name, const TemporaryFolder& folder) {
  return error_of([&] { load_dataset(name, folder.path()); });
}

fs::path bundled() {
  const auto folder = bundled_data();
  REQUIRE(folder.has_value());
  return *folder;
}

std::array<int, 10> count_labels(const Dataset& set) {
  std::array<int, 10> counts{};
  for (const std::int64_t label : set.labels.to_vector<std::int64_t>())
    ++counts.at(static_cast<std::size_t>(label));
  return counts;
}

bool balanced(const Dataset& set) {
  const auto counts = count_labels(set);
  return std::set<int>(counts.begin(), counts.end()).size() == 1;
}

}  // namespace

TEST_SUITE_BEGIN("datasets");

TEST_CASE("load: the parts of a set") {
  const TemporaryFolder folder;
  write_idx_set(folder, "mnist", 20);
  const TrainTest set = load_dataset("mnist", folder.path());
  CHECK(set.train.name == "mnist");
  CHECK(set.train.images.dtype() == DType::u8);
  CHECK(set.train.images.shape() == Shape{20, 28, 28, 1});
  CHECK(set.train.labels.dtype() == DType::i64);
  CHECK(set.train.labels.shape() == Shape{20});
  CHECK(set.train.size() == 20);
  CHECK(set.train.pixels() == 784);
  CHECK(set.train.classes == 10);
  CHECK(set.train.sample);
  CHECK(set.train.source == folder.path() / "mnist");
  CHECK(set.train.normalization.mean == std::vector<float>{0});
  CHECK(set.train.normalization.std == std::vector<float>{1});
  CHECK(set.test.size() == 10);
  const auto pixels = set.train.images.to_vector<std::uint8_t>();
  for (std::size_t i = 0; i < pixels.size(); ++i) CHECK(pixels[i] == i % 251);
  CHECK(set.train.labels.to_vector<std::int64_t>()[13] == 3);
  const Bytes labels = idx({20});
  CHECK(set.train.sha256 == sha256({pixels, std::span(labels).subspan(8)}));
  CHECK(set.train.sha256 != set.test.sha256);
}

TEST_CASE("load: our layout and torchvision's, plain and gzip") {
  for (const std::string where : {"fashion-mnist", "FashionMNIST/raw"})
    for (const bool compress : {false, true}) {
      const TemporaryFolder folder;
      write_idx_set(folder, where, 3, compress);
      CHECK(load_dataset("fashion-mnist", folder.path()).train.size() == 3);
      CHECK(contains(load_error("mnist", folder), "mnist: expected the data set in one of "));
    }
  const TemporaryFolder torchvision;
  write_idx_set(torchvision, "MNIST/raw", 4);
  CHECK(load_dataset("mnist", torchvision.path()).train.size() == 4);
  for (const std::string where : {"cifar-10/cifar-10-batches-bin", "cifar-10-batches-bin"}) {
    const TemporaryFolder folder;
    write_cifar_set(folder, where);
    CHECK(load_dataset("cifar-10", folder.path()).train.size() == 10);
  }
}

TEST_CASE("load: cifar-10 in colour and as grey crops") {
  const TemporaryFolder folder;
  write_cifar_set(folder, "cifar-10/cifar-10-batches-bin", 3);
  const TrainTest colour = load_dataset("cifar-10", folder.path());
  CHECK(colour.train.images.shape() == Shape{15, 32, 32, 3});
  CHECK(colour.test.images.shape() == Shape{3, 32, 32, 3});
  CHECK(colour.train.normalization.mean == std::vector<float>{0.4914f, 0.4822f, 0.4465f});
  CHECK(colour.train.normalization.std == std::vector<float>{0.2023f, 0.1994f, 0.2010f});
  const TrainTest grey = load_dataset("cifar-10-grey28", folder.path());
  CHECK(grey.train.images.shape() == Shape{15, 28, 28, 1});
  CHECK(grey.train.normalization.mean == std::vector<float>{0});
  CHECK(grey.test.images.to_vector<std::uint8_t>() ==
        grey28(colour.test.images.to_vector<std::uint8_t>()));
  CHECK(grey.train.labels.to_vector<std::int64_t>() ==
        colour.train.labels.to_vector<std::int64_t>());
}

TEST_CASE("load: mnist turned, and in the shape of cifar-10") {
  const TemporaryFolder folder;
  write_idx_set(folder, "mnist", 4);
  write_idx_set(folder, "fashion-mnist", 3);
  const TrainTest plain = load_dataset("mnist", folder.path());
  const auto pixels = plain.train.images.to_vector<std::uint8_t>();
  const auto at = [&](std::size_t n, std::size_t y, std::size_t x) {
    return pixels[(n * 28 + y) * 28 + x];
  };
  for (const bool turned : {false, true}) {
    const TrainTest set =
        load_dataset(turned ? "mnist-rotated-rgb32" : "mnist-rgb32", folder.path());
    REQUIRE(set.train.images.shape() == Shape{4, 32, 32, 3});
    CHECK(set.train.normalization.std == std::vector<float>{0.2023f, 0.1994f, 0.2010f});
    CHECK(set.train.labels.to_vector<std::int64_t>() ==
          plain.train.labels.to_vector<std::int64_t>());
    const auto values = set.train.images.to_vector<std::uint8_t>();
    std::size_t wrong = 0;
    for (std::size_t n = 0; n < 4; ++n)
      for (std::size_t y = 0; y < 32; ++y)
        for (std::size_t x = 0; x < 96; ++x) {
          const std::size_t column = x / 3 - 2, row = y - 2;  // wraps to more than 28 outside
          const bool inside = row < 28 && column < 28;
          const std::uint8_t want = !inside  ? std::uint8_t{0}
                                    : turned ? at(n, column, 27 - row)
                                             : at(n, row, column);
          wrong += values[(n * 32 + y) * 96 + x] != want;
        }
    CHECK(wrong == 0);
  }
  CHECK(load_dataset("fashion-mnist-rotated", folder.path()).train.images.shape() ==
        Shape{3, 28, 28, 1});
  CHECK(contains(error_of([] { rgb32(Bytes(100)); }), "expected whole images of 784 bytes"));
  CHECK(contains(error_of([] { rotated(Bytes(100), 28); }), "expected whole images of 784 bytes"));
}

TEST_CASE("load: the order of the search") {
  const TemporaryFolder given, variable, cache, empty;
  write_idx_set(given, "mnist", 11);
  write_idx_set(variable, "mnist", 12);
  write_idx_set(cache, "understudy/mnist", 13);
  const Environment data_dir("UNDERSTUDY_DATA_DIR", variable.path());
  const Environment xdg("XDG_CACHE_HOME", cache.path());
  CHECK(load_dataset("mnist", given.path()).train.size() == 11);
  CHECK(load_dataset("mnist").train.size() == 12);
  {
    const Environment none("UNDERSTUDY_DATA_DIR", "");
    CHECK(load_dataset("mnist").train.size() == 13);
    const Environment elsewhere("XDG_CACHE_HOME", empty.path());
    CHECK(load_dataset("mnist").train.source == bundled() / "mnist");
    const TemporaryFolder home;
    write_idx_set(home, ".cache/understudy/mnist", 14);
    const Environment no_xdg("XDG_CACHE_HOME", "");
    const Environment at_home("HOME", home.path());
    CHECK(load_dataset("mnist").train.size() == 14);
  }
  // A full set in an earlier place is read, not the sample in a later one; another set's folder
  // there changes nothing.
  write_cifar_set(cache, "understudy/cifar-10/cifar-10-batches-bin");
  CHECK(load_dataset("cifar-10").train.size() == 10);
  CHECK(load_dataset("fashion-mnist").train.source == bundled() / "fashion-mnist");
  // A given folder is searched alone.
  CHECK(load_error("fashion-mnist", given) ==
        "fashion-mnist: expected the data set in one of " + given.path().string() +
            "; found it in none; get it with: tools/fetch_datasets fashion-mnist");
}

TEST_CASE("load: an incomplete set is an error, not a reason to search on") {
  const TemporaryFolder folder;
  write_idx_set(folder, "mnist", 20);
  const fs::path labels = folder.path() / "mnist/train-labels-idx1-ubyte";
  fs::remove(labels);
  const Environment data_dir("UNDERSTUDY_DATA_DIR", folder.path());
  CHECK(error_of([] { load_dataset("mnist"); }) ==
        labels.string() + ": expected a file, found none");
}

TEST_CASE("load: images and labels that do not fit") {
  const TemporaryFolder folder;
  write_idx_set(folder, "mnist", 20);
  const std::string images = (folder.path() / "mnist/train-images-idx3-ubyte").string();
  const std::string labels = (folder.path() / "mnist/train-labels-idx1-ubyte").string();
  write(folder, "mnist/train-labels-idx1-ubyte", idx({19}));
  CHECK(load_error("mnist", folder) ==
        labels + ": expected 20 labels, one for each image of train-images-idx3-ubyte, found 19");
  write(folder, "mnist/train-labels-idx1-ubyte", idx({20}, 11));
  CHECK(load_error("mnist", folder) ==
        labels + ": expected labels 0 to 9, found 10 at position 10");
  write(folder, "mnist/train-images-idx3-ubyte", idx({20, 28, 27}));
  CHECK(load_error("mnist", folder) == images + ": expected images of 28x28, found 28x27");
  write(folder, "mnist/train-images-idx3-ubyte", idx({0, 28, 28}));
  CHECK(load_error("mnist", folder) == images + ": expected at least one image, found none");
}

TEST_CASE("load: names and folders that are not there") {
  CHECK_THROWS_AS(load_dataset("mnsit"), UsageError);
  CHECK(
      error_of([] { load_dataset("mnsit"); }) ==
      "unknown data set 'mnsit': expected one of mnist, fashion-mnist, cifar-10, cifar-10-grey28, "
      "mnist-rgb32, fashion-mnist-rgb32, mnist-rotated, fashion-mnist-rotated, "
      "mnist-rotated-rgb32, fashion-mnist-rotated-rgb32");
  const TemporaryFolder folder;
  const std::string absent = (folder.path() / "absent").string();
  CHECK(error_of([&] { load_dataset("mnist", absent); }) ==
        absent + ": expected a folder that holds data sets, found none");
  fs::create_directories(folder.path() / "cifar-10-batches-py");
  CHECK(contains(load_error("cifar-10", folder), "only cifar-10-batches-py, the Python version"));
}

TEST_CASE("bundled: MNIST is complete and the publisher's") {
  const fs::path folder = bundled() / "mnist";
  const auto contents_md5 = [&](const std::string& stem) {
    return md5({ByteReader::open(plain_or_gzip(folder, stem)).read_up_to(std::uint64_t{1} << 30)});
  };
  CHECK(contents_md5("train-images-idx3-ubyte") == "6bbc9ace898e44ae57da46a324031adb");
  CHECK(contents_md5("train-labels-idx1-ubyte") == "a25bea736e30d166cdddb491f175f624");
  CHECK(contents_md5("t10k-images-idx3-ubyte") == "2646ac647ad5339dbf082846283269ea");
  CHECK(contents_md5("t10k-labels-idx1-ubyte") == "27ae3e4e09519cfbb04c329615203637");
  const TrainTest set = load_dataset("mnist", bundled());
  CHECK(set.train.size() == 60000);
  CHECK(set.test.size() == 10000);
  CHECK_FALSE(set.train.sample);
  CHECK_FALSE(set.test.sample);
  CHECK(count_labels(set.train) ==
        std::array<int, 10>{5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949});
}

TEST_CASE("bundled: balanced samples of Fashion-MNIST and CIFAR-10") {
  for (const auto& [name, train, test] :
       {std::tuple{"fashion-mnist", 6000, 2000}, std::tuple{"cifar-10", 2000, 500},
        std::tuple{"cifar-10-grey28", 2000, 500}}) {
    CAPTURE(name);
    const TrainTest set = load_dataset(name, bundled());
    CHECK(set.train.size() == train);
    CHECK(set.test.size() == test);
    CHECK(set.train.sample);
    CHECK(set.test.sample);
    CHECK(balanced(set.train));
    CHECK(balanced(set.test));
  }
  // Real images: near the published set's channel means.
  const auto pixels = load_dataset("cifar-10", bundled()).train.images.to_vector<std::uint8_t>();
  std::array<double, 3> sums{};
  for (std::size_t i = 0; i < pixels.size(); ++i) sums[i % 3] += pixels[i];
  const std::array<double, 3> means = {0.4914, 0.4822, 0.4465};
  for (std::size_t c = 0; c < 3; ++c)
    CHECK(std::abs(sums[c] * 3 / static_cast<double>(pixels.size()) / 255 - means[c]) <= 0.02);
}

TEST_CASE("subset: the images asked for, in the order asked for") {
  const TemporaryFolder folder;
  write_idx_set(folder, "mnist", 20);
  const Dataset all = load_dataset("mnist", folder.path()).train;
  const Dataset part = subset(all, {7, 3, 3});
  CHECK(part.size() == 3);
  CHECK(part.sha256 != all.sha256);
  CHECK(part.labels.to_vector<std::int64_t>() == std::vector<std::int64_t>{7, 3, 3});
  const auto from = all.images.to_vector<std::uint8_t>(),
             to = part.images.to_vector<std::uint8_t>();
  CHECK(std::equal(to.begin(), to.begin() + 784, from.begin() + 7 * 784));
  CHECK(std::equal(to.begin() + 784, to.begin() + 2 * 784, from.begin() + 3 * 784));
  CHECK_THROWS_AS(subset(all, {20}), Error);
}

TEST_CASE("digest: published check values") {
  const std::string text = "abc";
  const std::span<const std::uint8_t> abc(reinterpret_cast<const std::uint8_t*>(text.data()), 3);
  CHECK(sha256({abc}) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256({abc.first(1), abc.subspan(1)}) == sha256({abc}));
  CHECK(md5({abc}) == "900150983cd24fb0d6963f7d28e17f72");
}

TEST_SUITE_END();
