// What a resumed run of train_code needs beside parameters, optimisers and position to go on as if
// it had never stopped: the sums of the epoch under way, and the test numbers of the epoch that
// validation chose.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace understudy {

struct Tally {
  double loss = 0, steps = 0;  // of this epoch
  double best_overall = -1;    // validation
  double best_overall_epoch = 0;
  double seconds = 0;
  std::map<std::string, double> test;

  std::vector<double> sums() const { return {loss, steps}; }
  void set_sums(const std::vector<double>& sums) {
    loss = sums[0];
    steps = sums[1];
  }

  std::map<std::string, double> numbers() const {
    std::map<std::string, double> all = {{"loss", loss},
                                         {"steps", steps},
                                         {"best_overall", best_overall},
                                         {"best_overall_epoch", best_overall_epoch},
                                         {"seconds", seconds}};
    for (const auto& [name, value] : test) all["test/" + name] = value;
    return all;
  }
  static Tally from(const std::map<std::string, double>& all) {
    Tally tally{all.at("loss"),         all.at("steps"),
                all.at("best_overall"), all.at("best_overall_epoch"),
                all.at("seconds"),      {}};
    for (const auto& [name, value] : all)
      if (name.starts_with("test/")) tally.test[name.substr(5)] = value;
    return tally;
  }
};

}  // namespace understudy
