#include "tools/reproduce/merge_choices.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <sstream>

namespace understudy::reproduce {

MergeChoices merge_choices(const MergeSetting& setting) {
  MergeChoices choices;
  for (const BaseModel& model : setting.models) {
    choices.models += (choices.models.empty() ? "" : ",") + model.label();
    choices.datasets += (choices.datasets.empty() ? "" : ",") + model.dataset;
  }
  if (setting.start) choices.start = setting.start->label();
  choices.method = fmt::format("{}", fmt::join(setting.methods, ","));
  for (const Flag& flag : setting.flags) {
    if (flag.name == "points") {
      choices.points.clear();
      std::istringstream numbers(flag.value);
      for (std::string number; std::getline(numbers, number, ',');)
        choices.points.push_back(std::stoll(number));
    }
    if (flag.name == "fisher") choices.fisher = flag.value;
    if (flag.name == "fisher-data") choices.fisher_data = flag.value;
    if (flag.name == "damping") choices.damping = flag.value;
    if (flag.name == "weights") choices.weights = flag.value;
    if (flag.name == "distill-epochs") choices.distill_epochs = std::stoll(flag.value);
    if (flag.name == "distill-batch") choices.distill_batch = std::stoll(flag.value);
    if (flag.name == "curve") choices.curve = std::stoll(flag.value);
    if (flag.name == "validation") choices.validation = std::stoll(flag.value);
  }
  return choices;
}

}  // namespace understudy::reproduce
