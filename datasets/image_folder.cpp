#include "datasets/image_folder.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>
#include <system_error>
#include <tuple>
#include <utility>

#include "datasets/digest.h"
#include "datasets/image_file.h"
#include "datasets/resize.h"
#include "kernels/check.h"
#include "kernels/parallel.h"

namespace understudy {

namespace fs = std::filesystem;

namespace {

using Names = std::vector<std::string>;

struct Entries {
  Names folders, others;  // sorted by their bytes
};

// What is in a folder, links followed; one that leads nowhere, or in a circle, is among the others.
Entries entries_of(const fs::path& folder, const std::string& expected) {
  std::error_code error;
  const fs::file_status status = fs::status(folder, error);
  check(fs::is_directory(status), "{}: expected a folder with {}, found {}", folder.string(),
        expected,
        status.type() == fs::file_type::not_found ? "none"
        : error                                   ? error.message()
                                                  : "something else");
  Entries entries;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with('.')) continue;
    std::error_code ignored;
    (entry->is_directory(ignored) ? entries.folders : entries.others).push_back(name);
  }
  check(!error, "{}: expected a readable folder, found: {}", folder.string(), error.message());
  std::sort(entries.folders.begin(), entries.folders.end());
  std::sort(entries.others.begin(), entries.others.end());
  return entries;
}

// "cat, dog, fox, ... (37)"
std::string some_of(const Names& names) {
  constexpr std::size_t most = 4;
  const Names first(names.begin(), names.begin() + std::ptrdiff_t(std::min(names.size(), most)));
  return fmt::format("{}{}", fmt::join(first, ", "),
                     names.size() > most ? fmt::format(", ... ({})", names.size()) : "");
}

void check_layout(const fs::path& root) {
  const Entries entries = entries_of(root, "train/ and test/");
  const auto has = [&](const char* name) {
    return std::binary_search(entries.folders.begin(), entries.folders.end(), name);
  };
  if (has("train") && has("test")) return;
  std::string found = entries.folders.empty() ? "no folders" : some_of(entries.folders);
  if (!has("train") && !has("test") && !entries.folders.empty())
    found +=
        "; if these are the classes, share out the images of each over train/<class>/ and "
        "test/<class>/";
  fail("{}: expected the folders train/ and test/ with a folder of images for each class, found {}",
       root.string(), found);
}

Names read_classes(const fs::path& part) {
  const Entries entries = entries_of(part, "a folder for each class");
  check(entries.others.empty(), "{}: expected nothing but a folder for each class, found {}",
        part.string(), some_of(entries.others));
  check(!entries.folders.empty(), "{}: expected a folder for each class, found none",
        part.string());
  return entries.folders;
}

struct File {
  fs::path path;
  std::int64_t label;
};

std::vector<File> list_files(const fs::path& part, const Names& classes) {
  std::vector<File> files;
  for (std::size_t label = 0; label < classes.size(); ++label) {
    const fs::path folder = part / classes[label];
    const Entries entries = entries_of(folder, "images");
    check(entries.folders.empty(), "{}: expected images, found the folders {}", folder.string(),
          some_of(entries.folders));
    check(!entries.others.empty(), "{}: expected images, found none", folder.string());
    for (const std::string& name : entries.others)
      files.push_back({folder / name, static_cast<std::int64_t>(label)});
  }
  return files;
}

struct Part {
  std::vector<std::uint8_t> pixels;
  std::vector<std::int64_t> labels;
};

// Every file on its own place, so that the order in which threads finish is not seen.
Part read_part(const fs::path& part, const Names& classes, const ImageFolderOptions& options,
               Names& skipped) {
  std::vector<File> files = list_files(part, classes);
  const auto size = static_cast<std::size_t>(options.height * options.width * options.channels);
  Part result;
  result.pixels.resize(files.size() * size);
  std::vector<std::optional<std::string>> faults(files.size());
  const auto read = [&](std::size_t i) {
    const Image image =
        resize(read_image(files[i].path, options.channels), options.height, options.width);
    std::copy(image.pixels.begin(), image.pixels.end(),
              result.pixels.begin() + std::ptrdiff_t(i * size));
  };
  parallel_for(std::ssize(files), 1, [&](std::int64_t begin, std::int64_t end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
      if (!options.skip_bad_images) {
        read(i);  // of several that throw, the first file's error comes out
        continue;
      }
      try {
        read(i);
      } catch (const Error& error) {
        faults[i] = error.what();
      }
    }
  });

  std::size_t kept = 0;
  std::vector<std::int64_t> count(classes.size());
  std::vector<std::string> fault_of(classes.size());  // the last one of each class
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (faults[i]) {
      skipped.push_back(*faults[i]);
      fault_of[static_cast<std::size_t>(files[i].label)] = *faults[i];
      continue;
    }
    if (kept != i)
      std::copy_n(result.pixels.begin() + std::ptrdiff_t(i * size), size,
                  result.pixels.begin() + std::ptrdiff_t(kept * size));
    ++kept;
    ++count[static_cast<std::size_t>(files[i].label)];
    result.labels.push_back(files[i].label);
  }
  result.pixels.resize(kept * size);
  for (std::size_t label = 0; label < classes.size(); ++label)
    check(count[label] > 0, "{}: expected images, found only bad ones, such as {}",
          (part / classes[label]).string(), fault_of[label]);
  return result;
}

// Exact sums, so that the constants depend on the images alone. A channel of one value is not
// scaled.
PixelNormalization measure(const Part& part, std::int64_t channels) {
  const auto C = static_cast<std::size_t>(channels);
  std::vector<std::uint64_t> sum(C), squares(C);
  for (std::size_t i = 0; i < part.pixels.size(); i += C)
    for (std::size_t c = 0; c < C; ++c) {
      const std::uint64_t x = part.pixels[i + c];
      sum[c] += x;
      squares[c] += x * x;
    }
  PixelNormalization result;
  const std::size_t pixels = part.pixels.size() / C;
  const auto n = static_cast<double>(pixels);
  for (std::size_t c = 0; c < C; ++c) {
    const double mean = static_cast<double>(sum[c]) / n;
    const double variance = static_cast<double>(squares[c]) / n - mean * mean;
    result.mean.push_back(static_cast<float>(mean / 255));
    result.std.push_back(variance > 0 ? static_cast<float>(std::sqrt(variance) / 255) : 1.0f);
  }
  return result;
}

Dataset make(Part part, const Names& classes, const PixelNormalization& normalization,
             const ImageFolderOptions& options, const fs::path& source) {
  const std::int64_t count = std::ssize(part.labels);
  // A byte each while labels fit, as for every other set.
  std::vector<std::uint8_t> labels;
  for (const std::int64_t label : part.labels)
    for (std::size_t shift = 0; shift == 0 || (classes.size() - 1) >> shift > 0; shift += 8)
      labels.push_back(static_cast<std::uint8_t>(label >> shift));
  Dataset set;
  set.name = "image-folder";
  set.images = Tensor::from(part.pixels, {count, options.height, options.width, options.channels});
  set.labels = Tensor::from(part.labels, {count});
  set.classes = std::ssize(classes);
  set.class_names = classes;
  set.normalization = normalization;
  set.source = source;
  set.sha256 = sha256({part.pixels, labels});
  return set;
}

template <class... Args>
void require(bool condition, fmt::format_string<Args...> text, Args&&... args) {
  if (!condition) throw UsageError(fmt::format(text, std::forward<Args>(args)...));
}

}  // namespace

ImageFolder read_image_folder(const fs::path& root, const ImageFolderOptions& options) {
  constexpr std::int64_t longest = 4096;
  require(options.height >= 1 && options.height <= longest && options.width >= 1 &&
              options.width <= longest,
          "image folder: expected a size from 1x1 to {}x{}, found {}x{}", longest, longest,
          options.height, options.width);
  require(options.channels == 1 || options.channels == 3,
          "image folder: expected 1 or 3 channels, found {}", options.channels);
  check_layout(root);
  const fs::path train_folder = root / "train", test_folder = root / "test";
  const Names classes = read_classes(train_folder), test_classes = read_classes(test_folder);
  for (const auto& [mine, others, folder, other] :
       {std::tuple(&classes, &test_classes, &test_folder, &train_folder),
        std::tuple(&test_classes, &classes, &train_folder, &test_folder)})
    for (const std::string& name : *mine)
      check(std::binary_search(others->begin(), others->end(), name),
            "{}: expected the class {}, which {} has, found no such folder", folder->string(), name,
            other->string());
  ImageFolder result;
  Part train = read_part(train_folder, classes, options, result.skipped);
  Part test = read_part(test_folder, classes, options, result.skipped);
  const PixelNormalization normalization = measure(train, options.channels);
  result.data.train = make(std::move(train), classes, normalization, options, train_folder);
  result.data.test = make(std::move(test), classes, normalization, options, test_folder);
  return result;
}

}  // namespace understudy
