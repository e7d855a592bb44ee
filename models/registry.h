// Models by name.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/random.h"
#include "engine/shape.h"
#include "models/model.h"

namespace understudy {

// What a user asks for and the data dictate.
struct ModelRequest {
  std::string name;  // one of model_names()
  Shape input;       // of one item, such as (28,28,1)
  std::int64_t classes = 10;
  std::vector<std::int64_t> hidden = {};  // widths between; empty for the model's default
  std::int64_t width = 0;                 // channels of the first stage; 0 for the model's default
  bool batch_norm = true;                 // false: a network that would have it goes without
};

std::vector<std::string> model_names();

// UsageError for a name that is not there, listing those that are, and for sizes that
// a model cannot have.
std::unique_ptr<Model> make_model(const ModelRequest& request, Generator& generator);

// The network that Model::describe() describes, its parameters drawn from `generator`; without one,
// any values, to be loaded over. UsageError for a text that describes none.
std::unique_ptr<Model> make_model(const std::string& description, Generator& generator);
std::unique_ptr<Model> make_model(const std::string& description);

// Elements of the described network's state dict, counted without building it, so that a text from
// a file cannot ask for memory that the file does not back. The largest integer where it overflows.
std::int64_t described_size(const std::string& description);

// "400,400" to {400, 400}; "" to {}. UsageError for anything else, or a width below 1.
std::vector<std::int64_t> parse_widths(const std::string& text, char separator = ',');

}  // namespace understudy
