// Labelled images as they are on disk: uint8, NHWC. Conversion to float happens per batch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/tensor.h"

namespace understudy {

// Per channel, after scaling to 0..1: x' = (x/255 - mean) / std.
struct PixelNormalization {
  std::vector<float> mean;
  std::vector<float> std;
};

struct Dataset {
  std::string name;  // "mnist"
  Tensor images;     // u8 (N, H, W, C)
  Tensor labels;     // i64 (N), each in [0, classes)
  std::int64_t classes = 10;
  std::vector<std::string> class_names;  // where the data have them: of an image folder
  PixelNormalization normalization;
  bool sample = false;           // read from less than the published set (a bundled sample)
  std::filesystem::path source;  // the folder or archive it was read from
  // For the run's log: of the images' bytes, then a byte per label (as many as the last one needs).
  std::string sha256;

  std::int64_t size() const { return images.size(0); }
  std::int64_t pixels() const { return images.size(1) * images.size(2) * images.size(3); }
};

struct TrainTest {
  Dataset train;
  Dataset test;
};

// The names that load_dataset knows: mnist, fashion-mnist, cifar-10; cifar-10-grey28, the mean of
// the three channels of the central 28×28 crop, so that it fits MNIST's networks; and with a suffix
// mnist and fashion-mnist as other tasks may need them (datasets/forms.h): -rotated, -rgb32 in the
// shape and with the normalisation of cifar-10, -rotated-rgb32.
const std::vector<std::string>& dataset_names();

// Finds and reads a set by name. Searched in order: `data_dir` (the folder that holds mnist/,
// fashion-mnist/, cifar-10/; when given, nothing else is searched), UNDERSTUDY_DATA_DIR,
// $XDG_CACHE_HOME/understudy or ~/.cache/understudy, the bundled data; in each also torchvision's
// layout. The first place that has any file of the set is the one: what is missing or wrong there
// is an Error. UsageError for an unknown name; Error with the places searched when there is none.
TrainTest load_dataset(const std::string& name, const std::filesystem::path& data_dir = {});

// The images at `index`, i64 (I), as networks take them: float (I, H, W, C), normalised. Error when
// one is out of range.
Tensor images_at(const Dataset& dataset, const Tensor& index);

// The same with images and labels on `device`; there already, the same tensors.
Dataset to(const Dataset& dataset, Device device);
TrainTest to(const TrainTest& data, Device device);

// The images and labels at `index`, in that order; Error when one is out of range.
Dataset subset(const Dataset& dataset, const std::vector<std::int64_t>& index);

}  // namespace understudy
