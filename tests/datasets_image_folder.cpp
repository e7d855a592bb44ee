// Folders of pictures: the layout, the order, the constants, and what is refused.
#include "datasets/image_folder.h"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>

#include "datasets/byte_reader.h"
#include "datasets/digest.h"
#include "datasets/image_file.h"
#include "datasets/resize.h"
#include "kernels/parallel.h"
#include "tests/datasets_files.h"

using namespace understudy;
using namespace understudy::testing;
namespace fs = std::filesystem;

namespace {

const fs::path corpus = fs::path(UNDERSTUDY_TEST_FILES) / "fuzz/corpus/image_folder";

void put(const TemporaryFolder& folder, const std::string& name, const std::string& picture) {
  fs::create_directories((folder.path() / name).parent_path());
  fs::copy_file(corpus / picture, folder.path() / name);
}

// Two classes of three and two training images, and a test image of each.
void put_set(const TemporaryFolder& folder) {
  put(folder, "train/cat/b.jpg", "rgb.jpg");
  put(folder, "train/cat/a.png", "rgb.png");
  put(folder, "train/cat/c", "grey.png");  // contents decide, not names
  put(folder, "train/dog/2.bmp", "rgb.bmp");
  put(folder, "train/dog/10.PNG", "one_bit.png");
  put(folder, "test/dog/x.png", "alpha.png");
  put(folder, "test/cat/x.jpg", "progressive.jpg");
}

std::string refusal(const TemporaryFolder& folder, const ImageFolderOptions& options = {}) {
  const std::string text = error_of([&] { read_image_folder(folder.path(), options); });
  const std::string root = folder.path().string();
  CHECK(text.starts_with(root));
  return text.substr(std::min(text.size(), root.size()));
}

}  // namespace

TEST_SUITE_BEGIN("datasets");

TEST_CASE("image folder: images by class and name, resized and labelled") {
  const TemporaryFolder folder;
  put_set(folder);
  put(folder, "train/.DS_Store", "bad_text.txt");
  put(folder, "train/cat/.hidden", "bad_text.txt");
  const ImageFolderOptions options{.height = 5, .width = 6};
  const ImageFolder set = read_image_folder(folder.path(), options);
  CHECK(set.skipped.empty());
  const Dataset& train = set.data.train;
  CHECK(train.name == "image-folder");
  CHECK(train.images.shape() == Shape{5, 5, 6, 3});
  CHECK(train.images.dtype() == DType::u8);
  CHECK(train.labels.to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 0, 0, 1, 1});
  CHECK(train.classes == 2);
  CHECK(train.class_names == std::vector<std::string>{"cat", "dog"});
  CHECK_FALSE(train.sample);
  CHECK(train.source == folder.path() / "train");
  CHECK(set.data.test.images.shape() == Shape{2, 5, 6, 3});
  CHECK(set.data.test.labels.to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 1});
  CHECK(set.data.test.class_names == train.class_names);

  Bytes want;
  for (const char* picture : {"rgb.png", "rgb.jpg", "grey.png", "one_bit.png", "rgb.bmp"}) {
    const Image image = resize(read_image(corpus / picture, 3), 5, 6);
    want.insert(want.end(), image.pixels.begin(), image.pixels.end());
  }
  CHECK(train.images.to_vector<std::uint8_t>() == want);
  CHECK(train.sha256 == sha256({want, Bytes{0, 0, 0, 1, 1}}));
}

TEST_CASE("image folder: grey, and normalised by the training images") {
  const TemporaryFolder folder;
  put_set(folder);
  for (const std::int64_t channels : {1, 3}) {
    const ImageFolder set = read_image_folder(folder.path(), {.channels = channels});
    const Dataset& train = set.data.train;
    CHECK(train.images.shape() == Shape{5, 32, 32, channels});
    const auto pixels = train.images.to_vector<std::uint8_t>();
    const auto C = static_cast<std::size_t>(channels);
    REQUIRE(train.normalization.mean.size() == C);
    for (std::size_t c = 0; c < C; ++c) {
      const double n = static_cast<double>(pixels.size() / C);
      double mean = 0, variance = 0;
      for (std::size_t i = c; i < pixels.size(); i += C) mean += pixels[i] / n;
      for (std::size_t i = c; i < pixels.size(); i += C)
        variance += (pixels[i] - mean) * (pixels[i] - mean) / n;
      CHECK(std::abs(train.normalization.mean[c] - mean / 255) <= 1e-6);
      CHECK(std::abs(train.normalization.std[c] - std::sqrt(variance) / 255) <= 1e-6);
    }
    CHECK(set.data.test.normalization.mean == train.normalization.mean);
    CHECK(set.data.test.normalization.std == train.normalization.std);
  }
  // One colour throughout cannot be scaled to a deviation of 1.
  const TemporaryFolder dots;
  for (const char* name : {"train/a/x", "test/a/x"}) put(dots, name, "interlaced_dot.png");
  CHECK(read_image_folder(dots.path()).data.train.normalization.std == std::vector<float>{1, 1, 1});
}

TEST_CASE("image folder: the same whatever the threads") {
  const TemporaryFolder folder;
  put_set(folder);
  for (int i = 0; i < 20; ++i)
    put(folder, fmt::format("train/cat/{:03}", i), i % 2 ? "subsampled.jpg" : "palette.png");
  put(folder, "train/dog/bad2", "bad_cut.jpg");
  put(folder, "train/cat/bad1", "bad_cut.png");
  const int before = num_threads();
  set_num_threads(1);
  const ImageFolder one = read_image_folder(folder.path(), {.skip_bad_images = true});
  const std::string error = refusal(folder);
  set_num_threads(5);
  const ImageFolder five = read_image_folder(folder.path(), {.skip_bad_images = true});
  CHECK(one.data.train.sha256 == five.data.train.sha256);
  CHECK(one.data.train.size() == 25);
  CHECK(one.skipped == five.skipped);
  CHECK(refusal(folder) == error);
  CHECK(error.starts_with("/train/cat/bad1: "));  // the first of the two
  set_num_threads(before);
}

TEST_CASE("image folder: bad images are named, or left out and told") {
  const TemporaryFolder folder;
  put_set(folder);
  put(folder, "train/dog/11.png", "bad_checksum.png");
  CHECK(contains(refusal(folder), "/train/dog/11.png: expected the checksum 0x"));
  put(folder, "test/cat/notes.txt", "bad_text.txt");
  fs::create_symlink("nowhere", folder.path() / "train/cat/link.png");
  fs::create_symlink("circle", folder.path() / "train/cat/circle");
  const ImageFolder set = read_image_folder(folder.path(), {.skip_bad_images = true});
  CHECK(set.data.train.labels.to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{0, 0, 0, 1, 1});
  CHECK(set.data.test.size() == 2);
  REQUIRE(set.skipped.size() == 4);
  CHECK(contains(set.skipped[0], "train/cat/circle: expected a file, found "));
  CHECK(contains(set.skipped[1], "train/cat/link.png: expected a file, found none"));
  CHECK(contains(set.skipped[2], "train/dog/11.png: expected the checksum"));
  CHECK(contains(set.skipped[3],
                 "test/cat/notes.txt: expected a PNG, JPEG or BMP image, found something else"));
  // Their pixels are as if they had never been there.
  const TemporaryFolder clean;
  put_set(clean);
  CHECK(read_image_folder(clean.path()).data.train.sha256 == set.data.train.sha256);

  const TemporaryFolder only_bad;
  put_set(only_bad);
  put(only_bad, "train/eel/x.gif", "bad_picture.gif");
  put(only_bad, "test/eel/x.png", "rgb.png");
  const std::string text = refusal(only_bad, {.skip_bad_images = true});
  CHECK(text.starts_with("/train/eel: expected images, found only bad ones, such as "));
  CHECK(text.ends_with("found a GIF"));
}

TEST_CASE("image folder: links to folders and images are followed") {
  const TemporaryFolder folder, elsewhere;
  put_set(folder);
  put(elsewhere, "x.png", "rgb.png");
  fs::create_directory_symlink(elsewhere.path(), folder.path() / "train/eel");
  fs::create_directory_symlink(elsewhere.path(), folder.path() / "test/eel");
  fs::create_symlink(elsewhere.path() / "x.png", folder.path() / "train/cat/z.png");
  const ImageFolder set = read_image_folder(folder.path());
  CHECK(set.data.train.labels.to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{0, 0, 0, 0, 1, 1, 2});
  CHECK(set.data.train.classes == 3);
}

TEST_CASE("image folder: other layouts") {
  const std::string layout =
      ": expected the folders train/ and test/ with a folder of images for each class, found ";
  {
    const TemporaryFolder folder;
    CHECK(refusal(folder) == layout + "no folders");
    put(folder, "dog/x.png", "rgb.png");
    put(folder, "cat/x.png", "rgb.png");
    CHECK(refusal(folder) ==
          layout +
              "cat, dog; if these are the classes, share out the images of each over "
              "train/<class>/ and test/<class>/");
    for (const char* name : {"eel", "fox", "gnu"}) fs::create_directory(folder.path() / name);
    CHECK(contains(refusal(folder), "found cat, dog, eel, fox, ... (5); if these"));
    put(folder, "train/dog/x.png", "rgb.png");
    CHECK(contains(refusal(folder), "found cat, dog, eel, fox, ... (6)"));
  }
  {
    const TemporaryFolder folder;
    put(folder, "train/cat/x.png", "rgb.png");
    CHECK(refusal(folder) == layout + "train");
    put(folder, "test", "rgb.png");
    CHECK(refusal(folder) == layout + "train");
    fs::remove(folder.path() / "test");
    fs::create_directory(folder.path() / "test");
    CHECK(refusal(folder) == "/test: expected a folder for each class, found none");
    put(folder, "test/x.png", "rgb.png");
    CHECK(refusal(folder) == "/test: expected nothing but a folder for each class, found x.png");
    fs::remove(folder.path() / "test/x.png");
    fs::create_directory(folder.path() / "test/cat");
    CHECK(refusal(folder) == "/test/cat: expected images, found none");
    put(folder, "test/cat/x.png", "rgb.png");
    CHECK(read_image_folder(folder.path()).data.train.size() == 1);
    put(folder, "test/dog/x.png", "rgb.png");
    CHECK(contains(refusal(folder), "/train: expected the class dog, which "));
    fs::rename(folder.path() / "test/dog", folder.path() / "train/eel");
    CHECK(contains(refusal(folder), "/test: expected the class eel, which "));
    fs::remove_all(folder.path() / "train/eel");
    // A folder in a class, be it by a link that leads in a circle.
    fs::create_directory_symlink("..", folder.path() / "train/cat/again");
    CHECK(refusal(folder) == "/train/cat: expected images, found the folders again");
    CHECK(refusal(folder, {.skip_bad_images = true}) ==
          "/train/cat: expected images, found the folders again");
  }
  const TemporaryFolder empty;
  CHECK(contains(error_of([&] { read_image_folder(empty.path() / "none"); }),
                 "none: expected a folder with train/ and test/, found none"));
}

TEST_CASE("image folder: impossible sizes") {
  const TemporaryFolder folder;
  put_set(folder);
  const auto usage_error = [&](const ImageFolderOptions& options) {
    CHECK_THROWS_AS(read_image_folder(folder.path(), options), UsageError);
    return error_of([&] { read_image_folder(folder.path(), options); });
  };
  CHECK(usage_error({.height = 0}) ==
        "image folder: expected a size from 1x1 to 4096x4096, found 0x32");
  CHECK(usage_error({.width = 5000}) ==
        "image folder: expected a size from 1x1 to 4096x4096, found 32x5000");
  CHECK(usage_error({.channels = 2}) == "image folder: expected 1 or 3 channels, found 2");
}

TEST_SUITE_END();
