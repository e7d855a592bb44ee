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
#include "coding/code_file.h"
#include "coding/evaluation.h"
#include "coding/matrix/wrong_answers.h"
#include "coding/matrix/wrong_answers_evaluation.h"
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
  std::string trained;
  std::int64_t validation = 5000;
  bool explain = false;
  std::int64_t wrong = 0;
  double wrong_size = 1;
};

void add_choices(Options& options, Choices& choices) {
  add_data_options(options, choices.data);
  options.add("base", &choices.base, "the trained model: its run folder or safetensors file");
  options.add("model", &options.common.model,
              "architecture of a --base file that does not say it, e.g. 'mlp 784-200-100-10'");
  options.add("k", &choices.k, "queries of a group, several with commas")
      .at_least(1)
      .at_most(most_queries);
  options.add("r", &choices.r, "spare machines of a group, several with commas")
      .at_least(1)
      .at_most(most_parities);
  options.add("codes", &choices.codes,
              fmt::format("all, nothing, or codes without training with commas between them: {}",
                          fmt::join(query_code_names(), ", ")));
  options.add("trained", &choices.trained,
              "trained codes, several with commas: run folders of train_code, or their files");
  options
      .add("validation", &choices.validation,
           "training images on which a code settles what it leaves open")
      .at_least(1);
  options
      .add("wrong", &choices.wrong,
           "also: so many workers of each group answer noise, and Berrut's code looks for them")
      .at_least(0)
      .at_most(8);
  options
      .add("wrong-size", &choices.wrong_size,
           "standard deviation of that noise, as a multiple of the logits'")
      .above(0);
  options.add("explain", &choices.explain,
              "print each code's matrices and how far they amplify errors");
}

// One code in one shape.
struct Candidate {
  std::string name;
  std::string file;  // of a trained code
  std::unique_ptr<QueryCode> code;
};

// UsageError for a name that is not there.
std::vector<std::string> chosen_codes(const std::string& text) {
  const std::vector<std::string> known = query_code_names();
  if (text == "all") return known;
  if (text == "nothing") return {};
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
          standard_patterns(*code);  // refuses more than can be simulated
          // A code without parities is the same for every r.
          if (code->shape().r > 0 || r == choices.r.front())
            candidates.push_back({name, "", std::move(code)});
        } catch (const UsageError& e) {
          progress.line(fmt::format("{} is left out for k = {}, r = {}: {}", name, k, r, e.what()));
        }
      }
  return candidates;
}

std::vector<std::filesystem::path> trained_codes(const Choices& choices) {
  std::vector<std::filesystem::path> paths;
  if (!choices.trained.empty())
    for (const std::string& path : split_list(choices.trained, "--trained")) paths.push_back(path);
  return paths;
}

bool among(std::int64_t wanted, const std::vector<std::int64_t>& list) {
  return std::find(list.begin(), list.end(), wanted) != list.end();
}

// The code of a run folder or file. UsageError naming both values when it was made for something
// else: a code over another model is worse than none.
Candidate read_trained(const std::filesystem::path& path, const Choices& choices, CodePurpose here,
                       Device device, Progress& progress) {
  const std::string file = find_model(path).string();
  std::unique_ptr<TrainableCode> code = read_code(read_safetensors(file), file);
  code->to(device);
  const CodePurpose& made_for = code->purpose();
  here.shape = {static_cast<int>(choices.k.front()), static_cast<int>(choices.r.front())};
  if (among(made_for.shape.k, choices.k)) here.shape.k = made_for.shape.k;
  if (among(made_for.shape.r, choices.r)) here.shape.r = made_for.shape.r;
  if (!check_purpose(made_for, here, file))
    progress.line(
        fmt::format("{}: does not say which model it was made for; taken for this one", file));
  // "runs/code", also with a slash behind it, and the file in that folder are called "code".
  std::filesystem::path folder = path.has_filename() ? path : path.parent_path();
  if (folder.extension() == ".safetensors" && folder.has_parent_path())
    folder = folder.parent_path();
  return {code->name(), folder.filename().string(), std::move(code)};
}

// Berrut's code for each k, with as many workers as it takes to find --wrong of them.
std::vector<std::unique_ptr<BerrutCode>> locating_codes(const Choices& choices) {
  std::vector<std::unique_ptr<BerrutCode>> codes;
  const int wrong = static_cast<int>(choices.wrong);
  if (wrong > 0)
    for (const std::int64_t k_wanted : choices.k) {
      const int k = static_cast<int>(k_wanted);
      codes.push_back(std::make_unique<BerrutCode>(
          PointLayout::spread, CodeShape{.k = k, .r = answers_to_locate(k, wrong) - k}, wrong));
    }
  return codes;
}

nlohmann::json wrong_answer_rows(const std::vector<std::unique_ptr<BerrutCode>>& codes,
                                 const Choices& choices, Module& base, const Dataset& test,
                                 const Tensor& test_outputs, std::uint64_t seed) {
  nlohmann::json rows = nlohmann::json::array();
  for (const auto& code : codes) {
    const WrongAnswersScore score =
        evaluate_wrong_answers(*code, base, test, test_outputs, choices.wrong_size, seed);
    rows.push_back({{"code", code->name()},
                    {"k", code->shape().k},
                    {"r", code->shape().r},
                    {"wrong", code->wrong()},
                    {"size", choices.wrong_size},
                    {"groups", score.groups},
                    {"found", score.found},
                    {"accuracy_nobody_wrong", score.honest},
                    {"accuracy_located", score.located},
                    {"accuracy_not_located", score.not_located}});
  }
  return rows;
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
      defaults, {"model", "batch-size", "epochs", "lr", "no-graph"});
  Choices choices;
  add_choices(options, choices);
  options.parse(argc, argv);
  const CommonOptions& common = options.common;
  const InterruptGuard interrupt_guard;
  const std::vector<std::string> names = chosen_codes(choices.codes);
  const std::vector<std::unique_ptr<BerrutCode>> locating = locating_codes(choices);

  std::vector<std::filesystem::path> inputs = trained_codes(choices);
  inputs.push_back(choices.base);
  RunFolder folder(options, inputs);
  Progress progress(common.quiet);
  if (folder.state() == RunFolder::State::finished) {
    progress.line(fmt::format("{}: is finished; nothing to do", folder.path().string()));
    print_comparison(folder.repeat_result());
    return;
  }

  // dataset → base model
  const TrainTest data = load_data(common, choices.data, progress);
  const Dataset test = to(data.test, common.device);
  const std::unique_ptr<Model> base = load_base_model(choices.base, common.model, data.train);
  base->to(common.device);

  // codes
  const Shape& images = data.train.images.shape();
  const Shape image = {images[1], images[2], images[3]};
  std::vector<Candidate> candidates =
      make_candidates(names, choices,
                      {.image = image,
                       .classes = data.train.classes,
                       .majority_class = majority_class(data.train.labels, data.train.classes)},
                      progress);
  for (const std::filesystem::path& path : trained_codes(choices))
    candidates.push_back(read_trained(
        path, choices, {.image = image, .classes = data.train.classes, .base = identity_of(*base)},
        common.device, progress));
  if (candidates.empty()) throw UsageError("no code is left to compare; see --codes, --k, --r");
  nlohmann::json description = describe(data.train, data.test);
  description["base"] = {{"model", base->describe()}, {"sha256", model_checksum(*base)}};
  folder.write_header(description);

  // the model's answers → missing answers → decoder → scores
  const Split split = split_indices(
      data.train.size(), std::min(choices.validation, data.train.size() / 2), common.seed, 1);
  const Dataset validation = to(subset(data.train, split.validation), common.device);
  progress.line(fmt::format("compare_codes: {}; {}; its answers to {} images come first",
                            base->describe(), machine(common), validation.size() + test.size()));
  const Tensor validation_outputs = all_outputs(*base, validation);
  const Tensor test_outputs = all_outputs(*base, test);
  nlohmann::json rows = nlohmann::json::array();
  const double guess = guess_accuracy(data);
  const auto start = std::chrono::steady_clock::now();
  progress.begin("codes", static_cast<std::int64_t>(candidates.size()));
  for (auto& [name, file, code] : candidates) {
    const auto code_start = std::chrono::steady_clock::now();
    code->tune(*base, validation, validation_outputs, {});
    const CodeScore score =
        evaluate_code(*code, *base, test, test_outputs, standard_patterns(*code));
    nlohmann::json row = score_values(score);
    row.update(cost_values(*code, *base, image, data.train.classes, common.device));
    row["code"] = name;
    if (!file.empty()) row["trained"] = file;
    row["k"] = code->shape().k;
    row["r"] = code->shape().r;
    row["systematic"] = code->systematic();
    row["no_code_accuracy"] = guess;
    row["seconds"] = seconds_since(code_start);
    if (const std::string words = code->explain(); !words.empty()) {
      row["explanation"] = words;
      if (choices.explain) fmt::print("{}\n", words);
    }
    folder.add_metrics({{"epoch", rows.size() + 1},
                        {"code", name},
                        {"seconds", seconds_since(start)},
                        {"test_recovery_accuracy", row["test_recovery_accuracy"]}});
    rows.push_back(std::move(row));
    progress.update(static_cast<std::int64_t>(rows.size()), name);
    if (interrupted()) {
      progress.line("interrupted; nothing is saved, a comparison starts anew");
      throw Exit{exit_interrupted};
    }
  }
  progress.end();
  const nlohmann::json wrong_rows =
      wrong_answer_rows(locating, choices, *base, test, test_outputs, common.seed);

  nlohmann::json result = {{"rows", rows},
                           {"wrong_answers", wrong_rows},
                           {"model", base->describe()},
                           {"test_accuracy", accuracy(test_outputs, test.labels)},
                           {"seconds", seconds_since(start)}};
  folder.finish(result);
  print_comparison(result);
}

}  // namespace
}  // namespace understudy

int main(int argc, char** argv) {
  return understudy::run_program("compare_codes", [&] { understudy::compare_codes(argc, argv); });
}
