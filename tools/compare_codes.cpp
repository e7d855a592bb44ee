// Compares codes over queries on one trained model: for this model, this k and this many spare
// machines, which code should it be, how good is an answer that had to be rebuilt, and what does it
// cost?
//
//   build/bin/train_classifier --dataset mnist --epochs 8 --out runs/base
//   build/bin/compare_codes --base runs/base --dataset mnist --k 2,5 --codes all
//
// ends with lines like
//
//   best at 50.0 % extra machines, one missing: berrut-released, k = 2, r = 1: 88.56 %

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>

// In the order of the data flow.
// clang-format off
#include "datasets/dataset.h"
#include "datasets/loader.h"
#include "coding/simulate.h"
#include "coding/baselines.h"
#include "coding/query_codes.h"
#include "coding/evaluation.h"
// clang-format on
#include "kernels/check.h"
#include "tools/compare_codes/table.h"
#include "tools/runs/base_model.h"
#include "tools/runs/code_values.h"
#include "tools/runs/data.h"
#include "tools/runs/interrupt.h"
#include "tools/runs/options.h"
#include "tools/runs/program.h"
#include "tools/runs/progress.h"
#include "tools/runs/run_folder.h"

namespace understudy {
namespace {

// The flags of this program beside the common ones.
struct Choices {
  DataChoices data;
  std::filesystem::path base;
  std::vector<std::int64_t> k = {2}, r = {1};
  std::string codes = "all";
  std::int64_t validation = 5000;
  bool explain = false;
};

void add_choices(Options& options, Choices& choices) {
  add_data_options(options, choices.data);
  options.add("base", &choices.base, "the trained model: its run folder or safetensors file");
  options.add("model", &options.common.model,
              "architecture of a --base file that does not say it, e.g. 'mlp 784-200-100-10'");
  options.add("k", &choices.k, "queries of a group, several with commas").at_least(1).at_most(32);
  options.add("r", &choices.r, "spare machines of a group, several with commas")
      .at_least(1)
      .at_most(8);
  options.add("codes", &choices.codes,
              fmt::format("codes without training, several with commas, or all: {}",
                          fmt::join(query_code_names(), ", ")));
  options
      .add("validation", &choices.validation,
           "training images on which a code settles what it leaves open")
      .at_least(1);
  options.add("explain", &choices.explain,
              "print each code's matrices and how far they amplify errors");
}

// One code in one shape.
struct Candidate {
  std::string name;
  std::unique_ptr<QueryCode> code;
};

// UsageError for a name that is not there.
std::vector<std::string> chosen_codes(const std::string& text) {
  const std::vector<std::string> known = query_code_names();
  if (text == "all") return known;
  const std::vector<std::string> names = split_list(text, "--codes");
  for (const std::string& name : names)
    if (std::find(known.begin(), known.end(), name) == known.end())
      throw UsageError(fmt::format("--codes {}: unknown code \"{}\"; there are: {}", text, name,
                                   fmt::join(known, ", ")));
  return names;
}

// Every code in every shape that it can have; a shape that one cannot have is said on `progress`.
std::vector<Candidate> make_candidates(const std::vector<std::string>& names,
                                       const Choices& choices, const CodeRequest& request,
                                       Progress& progress) {
  std::vector<Candidate> candidates;
  for (const std::int64_t k : choices.k)
    for (const std::int64_t r : choices.r)
      for (const std::string& name : names) {
        CodeRequest shaped = request;
        shaped.shape = {static_cast<int>(k), static_cast<int>(r)};
        try {
          std::unique_ptr<QueryCode> code = make_query_code(name, shaped);
          // A code without parities is the same for every r.
          if (code->shape().r > 0 || r == choices.r.front())
            candidates.push_back({name, std::move(code)});
        } catch (const UsageError& e) {
          progress.line(fmt::format("{} is left out for k = {}, r = {}: {}", name, k, r, e.what()));
        }
      }
  if (candidates.empty()) throw UsageError("no code is left to compare; see --codes, --k, --r");
  return candidates;
}

void compare_codes(int argc, char** argv) {
  CommonOptions defaults;
  defaults.model = "";
  Options options(
      {
          .name = "compare_codes",
          .summary = "Compares codes over queries on one trained model: accuracy of answers that "
                     "had to be rebuilt, spare machines, arithmetic and time.",
          .example = "compare_codes --base runs/base --dataset mnist --k 2,5 --codes all\n"
                     "It ends with: best at 50.0 % extra machines, one missing: ...",
      },
      defaults, {"model", "batch-size", "epochs", "lr"});
  Choices choices;
  add_choices(options, choices);
  options.parse(argc, argv);
  const CommonOptions& common = options.common;
  const InterruptGuard interrupt_guard;
  const std::vector<std::string> names = chosen_codes(choices.codes);

  RunFolder folder(options, {choices.base});
  Progress progress(common.quiet);
  if (folder.state() == RunFolder::State::finished) {
    progress.line(fmt::format("{}: is finished; nothing to do", folder.path().string()));
    print_comparison(folder.repeat_result());
    return;
  }

  // dataset → base model, its answers computed once
  const TrainTest data = load_data(common, choices.data, progress);
  const std::unique_ptr<Model> base = load_base_model(choices.base, common.model, data.train);
  progress.line(fmt::format("compare_codes: {}; its answers to {} images come first",
                            base->describe(), data.train.size() + data.test.size()));
  const Tensor train_outputs = all_outputs(*base, data.train);
  const Tensor test_outputs = all_outputs(*base, data.test);
  const Split split = split_indices(
      data.train.size(), std::min(choices.validation, data.train.size() / 2), common.seed, 1);

  // codes
  const Shape& images = data.train.images.shape();
  const Shape image = {images[1], images[2], images[3]};
  std::vector<Candidate> candidates =
      make_candidates(names, choices,
                      {.image = image,
                       .classes = data.train.classes,
                       .majority_class = majority_class(data.train.labels, data.train.classes)},
                      progress);
  nlohmann::json description = describe(data.train, data.test);
  description["base"] = {{"model", base->describe()}};
  folder.write_header(description);

  // missing answers → decoder → scores
  nlohmann::json rows = nlohmann::json::array();
  const double guess = guess_accuracy(data);
  const auto start = std::chrono::steady_clock::now();
  progress.begin("codes", static_cast<std::int64_t>(candidates.size()));
  for (auto& [name, code] : candidates) {
    const auto code_start = std::chrono::steady_clock::now();
    code->tune(*base, data.train, train_outputs, split.validation);
    const CodeScore score =
        evaluate_code(*code, *base, data.test, test_outputs, standard_patterns(*code));
    nlohmann::json row = score_values(score);
    row.update(cost_values(*code, *base, image, data.train.classes, common.device));
    row["code"] = name;
    row["k"] = code->shape().k;
    row["r"] = code->shape().r;
    row["systematic"] = code->systematic();
    row["no_code_accuracy"] = guess;
    row["seconds"] = seconds_since(code_start);
    if (const std::string words = code->explain(); !words.empty()) {
      row["explanation"] = words;
      if (choices.explain) fmt::print("{}\n", words);
    }
    rows.push_back(std::move(row));
    progress.update(static_cast<std::int64_t>(rows.size()), name);
    if (interrupted()) {
      progress.line("interrupted; nothing is saved, a comparison starts anew");
      throw Exit{exit_interrupted};
    }
  }
  progress.end();

  nlohmann::json result = {{"rows", rows},
                           {"model", base->describe()},
                           {"test_accuracy", accuracy(test_outputs, data.test.labels)},
                           {"seconds", seconds_since(start)}};
  folder.finish(result);
  print_comparison(result);
}

}  // namespace
}  // namespace understudy

int main(int argc, char** argv) {
  return understudy::run_program("compare_codes", [&] { understudy::compare_codes(argc, argv); });
}
