// Labelled images as people keep them: <root>/train/<class>/*.png and <root>/test/<class>/*.png.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace understudy {

struct ImageFolderOptions {
  std::int64_t height = 32, width = 32;  // every image is stretched to this size; at most 4096
  std::int64_t channels = 3;             // 1: grey, 3: RGB
  bool skip_bad_images = false;          // leave out files that cannot be read as images
};

struct ImageFolder {
  TrainTest data;
  std::vector<std::string> skipped;  // why, for each image that was left out
};

// Reads PNG, JPEG and BMP files (see read_image), by several threads at once. Classes are the
// folders' names in the order of their bytes, the same ones in train and test; images come by class
// and by name; names that begin with a dot are passed over, links are followed. Pixels are
// normalised by mean and deviation of each channel over the training images.
//
// Error, naming the file or folder: another layout, no classes, a class without images, a folder
// where images are expected; and the first file that is no image or a bad one, unless such are
// skipped. UsageError for sizes and channels that cannot be.
ImageFolder read_image_folder(const std::filesystem::path& root,
                              const ImageFolderOptions& options = {});

}  // namespace understudy
