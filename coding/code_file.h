// Files of trained codes: which kind one holds, and what it may be used for.
#pragma once

#include <memory>
#include <string>

#include "coding/trainable_code.h"
#include "engine/safetensors.h"

namespace understudy {

// The code that TrainableCode::to_safetensors() wrote, whatever its kind. Error naming the file and
// what does not fit.
std::unique_ptr<TrainableCode> read_code(const Safetensors& content, const std::string& file);

// UsageError "FILE: made for k = 2, here k = 5" unless a code of `made_for` can serve `here`: the
// same k, r, images, classes and base model, its parameters included. False where a file does not
// say its base model, so that nobody knows: to be said to the user.
bool check_purpose(const CodePurpose& made_for, const CodePurpose& here, const std::string& file);

}  // namespace understudy
