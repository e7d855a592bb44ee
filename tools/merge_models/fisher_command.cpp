#include "tools/merge_models/fisher_command.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <string>

#include "coding/merging/difference.h"
#include "coding/merging/fisher.h"
#include "coding/merging/fisher_file.h"
#include "kernels/check.h"
#include "models/model_file.h"
#include "tools/merge_models/result_table.h"
#include "tools/merge_models/tasks.h"
#include "tools/runs/json_output.h"
#include "tools/runs/options.h"
#include "tools/runs/progress.h"
#include "tools/runs/run_folder.h"

namespace understudy {

void write_fisher(int argc, char** argv) {
  Options options(
      {
          .name = "merge_models fisher",
          .summary =
              "Writes the diagonal Fisher information of a network on images of its task, for "
              "'merge_models --fishers'.",
          .example = "merge_models fisher --base runs/digits --dataset mnist --file "
                     "runs/digits/fisher.safetensors\n"
                     "ends with: runs/digits/fisher.safetensors: gaussian Fisher information of 6 "
                     "tensors on 1000 points of mnist, 0.5 s",
      },
      {}, {"model", "epochs", "batch-size", "lr", "out", "resume", "no-graph"});
  std::string base, architecture, file, kind = "gaussian";
  std::int64_t points = 1000;
  bool explain = false;
  options.add("base", &base, "the trained network: a run folder or safetensors file");
  options.add("model", &architecture, "architecture of a --base file that does not say it");
  options.add("points", &points, "training images to measure on").at_least(1).at_most(1 << 20);
  options.add("fisher", &kind, "of which distribution of answers").one_of(fisher_kind_names());
  options.add("file", &file, "where to write it");
  options.add("explain", &explain, "print each tensor's share");
  options.parse(argc, argv);
  if (base.empty() || file.empty())
    throw UsageError(
        "--base and --file are needed, e.g. --base runs/digits --dataset mnist --file "
        "digits-fisher.safetensors");
  const CommonOptions& common = options.common;
  const JsonOutput json_output(common.json, common.quiet);
  Progress progress(common.quiet);
  const auto model = std::move(load_models({base}, architecture, common.device)[0]);
  const Task task = std::move(
      load_tasks({common.dataset}, common.data_dir, *model, base, points, 0, 0, common.seed)[0]);
  progress.line(fmt::format("merge_models fisher: {} with {} parameters, {} points of {}; {}",
                            model->describe(), model->parameter_count(), points, common.dataset,
                            machine(common)));
  const FisherOptions fisher_options{.kind = fisher_kind(kind), .seed = common.seed};
  const auto start = std::chrono::steady_clock::now();
  const auto fisher =
      diagonal_fisher(*model, inputs_of(task.points), fisher_options, task.points.labels);
  const double seconds = seconds_since(start, common.device);
  save_fisher(file, *model, fisher,
              {.kind = fisher_options.kind,
               .points = points,
               .dataset = common.dataset,
               .model = model->describe(),
               .seed = common.seed,
               .machine = machine(common)});
  if (explain) print_difference(explain_difference({model.get()}, nullptr, {fisher}), {base});
  nlohmann::json result = {{"program", "merge_models fisher"},
                           {"file", file},
                           {"fisher", kind},
                           {"points", points},
                           {"dataset", common.dataset},
                           {"model", model->describe()},
                           {"seconds", seconds}};
  result.update(accelerator(common));
  json_output.write(result);
  fmt::print("{}: {} Fisher information of {} tensors on {} points of {}, {:.2f} s\n", file, kind,
             fisher.size(), points, common.dataset, seconds);
}

}  // namespace understudy
