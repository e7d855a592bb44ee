// Which algorithm was fastest for which convolution, kept from run to run in a small file. Knows
// nothing of CUDA, so that it is tested everywhere.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "kernels/conv_shape.h"
#include "kernels/numerics.h"

namespace understudy::cuda {

enum class ConvPass : std::uint8_t { forward, input_gradient, weight_gradient };
const char* to_string(ConvPass pass);

// A convolution, and how it is to be computed.
struct ConvProblem {
  ConvPass pass;
  ConvShape shape;
  Precision precision;
  bool deterministic;
};

struct ConvPlan {
  enum class Kind : std::uint8_t {
    implicit,  // kernels of ours
    product,   // one product of matrices
    library,   // cuDNN's `algorithm` with its `math`
  };
  Kind kind = Kind::implicit;
  int algorithm = 0, math = 0;

  friend bool operator==(const ConvPlan&, const ConvPlan&) = default;
};
std::string to_string(const ConvPlan& plan);  // "implicit", "product", "library 1 3"
std::optional<ConvPlan> parse_plan(std::string_view text);

// One line that has everything on which a choice depends.
std::string plan_key(std::string_view gpu, std::string_view library, const ConvProblem& problem);

using Plans = std::map<std::string, ConvPlan>;
std::string plans_text(const Plans& plans);
// What is not a file of plans has none; an entry that is not a plan is left out.
Plans parse_plans(std::string_view text);

class PlanCache {
 public:
  // convolutions.json in $UNDERSTUDY_CACHE, else in `understudy` under $XDG_CACHE_HOME, else under
  // ~/.cache. Empty for no file: UNDERSTUDY_CACHE is set but empty, or there is no home.
  static std::filesystem::path default_file();

  // Reads nothing yet. An empty name keeps plans in memory alone.
  explicit PlanCache(std::filesystem::path file) : file_(std::move(file)) {}

  std::optional<ConvPlan> find(const std::string& key);
  // Kept, and written together with what others have written since: to a file of its own that then
  // takes the place of the old one, so that readers see the one or the other whole. Two that write at
  // the same moment may lose each other's newest plan, which is then measured again. A file that
  // cannot be written is no error: the plan is measured again next time.
  void put(const std::string& key, const ConvPlan& plan);

 private:
  std::filesystem::path file_;
  bool was_read_ = false;
  Plans plans_;
};

}  // namespace understudy::cuda
