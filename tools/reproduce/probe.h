// How fast single runs are on one core or on a GPU, found by a few real steps of each (one by one:
// steps that are recorded are a little faster).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "coding/query_code.h"
#include "datasets/dataset.h"
#include "models/model.h"
#include "tools/reproduce/outlook.h"
#include "tools/reproduce/setting.h"

namespace understudy::reproduce {

// The median of a few calls, after one that warms up, until `device` is done.
double seconds_per_call(Device device, const std::function<void()>& call);

class Probe {
 public:
  Probe(std::filesystem::path data_dir, Device device)
      : data_dir_(std::move(data_dir)), device_(device) {}

  Speed speed(const BaseModel& base);
  Speed speed(const CodeSetting& setting) {
    return setting.compares() ? comparison(setting) : trained_code(setting);
  }
  Speed speed(const MergeSetting& setting);

  // Of a merge: what grows with the points of each task, and what does not.
  struct PointsCost {
    double fixed_seconds = 0, seconds_per_point = 0;
    double seconds(std::int64_t points) const {
      return fixed_seconds + seconds_per_point * static_cast<double>(points);
    }
  };

 private:
  // A data set, and how long it took to load: every run does.
  struct LoadedData {
    TrainTest data;  // on the device
    double seconds = 0;
    Dataset few;  // some test images, on the device
    Shape image;  // (H, W, C)
  };

  Speed trained_code(const CodeSetting& setting);
  Speed comparison(const CodeSetting& setting);

  const LoadedData& data(const std::string& name);
  std::unique_ptr<Model> untrained(const BaseModel& base, std::uint64_t seed = 1);
  // Of an image.
  double forward_seconds(Model& model, const LoadedData& loaded);
  double judging_seconds(QueryCode& code, Model& base, const LoadedData& loaded);

  std::filesystem::path data_dir_;
  Device device_;
  std::map<std::string, LoadedData> data_;
  std::map<std::string, std::map<std::string, PointsCost>> merge_costs_;  // by models, by method
};

}  // namespace understudy::reproduce
