#include "tools/runs/data.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "kernels/check.h"

namespace understudy {
namespace {

constexpr const char* image_folder = "image-folder";

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || rest != text.data() + text.size()) return {};
  return value;
}

}  // namespace

void add_data_options(Options& options, DataChoices& choices) {
  std::vector<std::string> names = dataset_names();
  names.push_back(image_folder);
  options.setting("dataset").one_of(names);
  options
      .add("augment", &choices.augment,
           "training images moved by up to an eighth of a side and flipped at random; auto: for "
           "cifar-10")
      .one_of({"auto", "none", "crop-flip"});
  options
      .add("workers", &choices.workers,
           "threads that prepare batches ahead of the step; 0: each when it is needed")
      .at_least(0)
      .at_most(256)
      .free();
  options
      .add("data", &choices.folder,
           "folder of --dataset image-folder, with train/<class>/ and test/<class>/ of pictures")
      .free();
  options.add("image-size", &choices.image_size,
              "what its pictures are resized to: 32 or, height and width, 48x64; empty: 32");
  options.add("image-channels", &choices.image_channels, "of its pictures: 1 is grey, 3 RGB")
      .at_least(1)
      .at_most(3);
  options.add("skip-bad-images", &choices.skip_bad_images,
              "leave out its files that cannot be read as pictures, and say how many");
}

Augmentation augmentation_for(const DataChoices& choices, const Dataset& data) {
  if (choices.augment == "auto") return usual_augmentation(data.name);
  if (choices.augment == "none") return {};
  return crop_and_flip(data.images.size(1), data.images.size(2));
}

ImageFolderOptions image_folder_options(const DataChoices& choices) {
  ImageFolderOptions options{.channels = choices.image_channels,
                             .skip_bad_images = choices.skip_bad_images};
  if (choices.image_size.empty()) return options;
  const std::string_view text = choices.image_size;
  const std::size_t cross = text.find('x');
  const auto height = whole_number(text.substr(0, cross));
  const auto width = cross == text.npos ? height : whole_number(text.substr(cross + 1));
  if (!height || !width)
    throw UsageError(
        fmt::format("--image-size {}: expected a number, or height and width such as 48x64", text));
  options.height = *height;
  options.width = *width;
  return options;
}

TrainTest load_data(const CommonOptions& common, const DataChoices& choices, Progress& progress) {
  const DataChoices none;
  if (common.dataset != image_folder) {
    const char* given = !choices.folder.empty()                         ? "data"
                        : !choices.image_size.empty()                   ? "image-size"
                        : choices.image_channels != none.image_channels ? "image-channels"
                        : choices.skip_bad_images                       ? "skip-bad-images"
                                                                        : nullptr;
    if (given)
      throw UsageError(fmt::format(
          "--{}: goes with --dataset image-folder, not with {}{}", given, common.dataset,
          choices.folder.empty() ? "" : "; --data-dir says where the sets with names are"));
    return load_dataset(common.dataset, common.data_dir);
  }
  if (choices.folder.empty())
    throw UsageError("--dataset image-folder: expected --data, the folder with train/ and test/");
  ImageFolder read = read_image_folder(choices.folder, image_folder_options(choices));
  const Dataset& train = read.data.train;
  progress.line(fmt::format("{}: {} training and {} test images of {} classes, {} to {}",
                            choices.folder.string(), train.size(), read.data.test.size(),
                            train.classes, train.class_names.front(), train.class_names.back()));
  if (!read.skipped.empty())
    progress.line(fmt::format("{}: left out {} that cannot be read, the first: {}",
                              choices.folder.string(), read.skipped.size(), read.skipped.front()));
  return std::move(read.data);
}

}  // namespace understudy
