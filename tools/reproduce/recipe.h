// How networks are trained: [base.MODEL] and its like, and flags in sections.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tools/reproduce/section.h"
#include "tools/reproduce/setting.h"
#include "tools/reproduce/source.h"

namespace understudy::reproduce {

// Flags that are one whole number, with the least that the program takes.
using WholeFlags = std::map<std::string, std::int64_t>;

// What stands under `name` as a flag is added; false is no flag. What the estimate computes with is
// checked here, where the line is known.
void add_flag(const Section& section, const std::string& name, const WholeFlags& wholes,
              std::vector<Flag>& flags);

// The tables of recipes: of the models of codes over queries; of what begins at random and of what
// begins from that, for codes over models.
inline const std::vector<std::string> recipe_kinds = {"base", "start", "fine-tune"};

// [base.resnet18] of the first source that has it, and what [base.resnet18.cifar-10] says instead
// on that data set; `kind` is one of recipe_kinds. UsageError at the user's `base` where there is
// none.
BaseModel base_model(const std::vector<Source>& sources, const std::string& kind,
                     const std::string& model, const std::string& dataset, const Section& user);

}  // namespace understudy::reproduce
