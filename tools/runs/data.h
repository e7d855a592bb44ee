// The data of a run: a set by its name, or a folder of pictures.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "datasets/augment.h"
#include "datasets/dataset.h"
#include "datasets/image_folder.h"
#include "tools/runs/options.h"
#include "tools/runs/progress.h"

namespace understudy {

struct DataChoices {
  std::string augment = "auto";
  std::int64_t workers = 1;  // of the Prefetcher
  // What --dataset image-folder takes.
  std::filesystem::path folder;
  std::string image_size;  // "32" or "48x64"; empty: 32
  std::int64_t image_channels = 3;
  bool skip_bad_images = false;
};

// Registers --augment, --workers and what --dataset may be; for image folders --data, --image-size,
// --image-channels and --skip-bad-images. `choices` outlives the Options.
void add_data_options(Options& options, DataChoices& choices);

// How training images are moved and flipped.
Augmentation augmentation_for(const DataChoices& choices, const Dataset& data);

// The options that `choices` ask for. UsageError for a size that is none.
ImageFolderOptions image_folder_options(const DataChoices& choices);

// Reads the data. UsageError where `choices` and the name of the set do not go together. Says on
// `progress` what an image folder holds and what was left out.
TrainTest load_data(const CommonOptions& common, const DataChoices& choices, Progress& progress);

}  // namespace understudy
