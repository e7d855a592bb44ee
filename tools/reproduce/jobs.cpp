#include "tools/reproduce/jobs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace understudy::reproduce {
namespace {

void add(std::vector<std::string>& arguments, const std::string& name, const std::string& value) {
  arguments.push_back("--" + name);
  if (!value.empty()) arguments.push_back(value);
}

void add(std::vector<std::string>& arguments, const std::string& name, std::int64_t value) {
  add(arguments, name, fmt::format("{}", value));
}

void add(std::vector<std::string>& arguments, const ComputeFlags& compute) {
  const ComputeFlags usual;
  if (compute.device != usual.device) add(arguments, "device", compute.device);
  if (compute.precision != usual.precision) add(arguments, "precision", compute.precision);
  if (compute.nondeterministic) add(arguments, "nondeterministic", "");
}

}  // namespace

Job job_of(const BaseModel& base, const ComputeFlags& compute) {
  Job job{
      .of = base, .folder = folder_of(base), .program = "train_classifier", .epochs = base.epochs};
  add(job.arguments, "dataset", base.dataset);
  add(job.arguments, "model", base.model);
  if (base.width > 0) add(job.arguments, "width", base.width);
  for (const Flag& flag : base.flags) add(job.arguments, flag.name, flag.value);
  add(job.arguments, compute);
  job.kind = fmt::format("{} {}", job.program, fmt::join(job.arguments, " "));
  if (!base.start.empty()) add(job.arguments, "init", folder_of_start(base));
  add(job.arguments, "epochs", base.epochs);
  add(job.arguments, "seed", base.seed);
  return job;
}

Job job_of(const CodeSetting& setting, const ComputeFlags& compute) {
  Job job{.of = setting, .program = setting.compares() ? "compare_codes" : "train_code"};
  add(job.arguments, "dataset", setting.base.dataset);
  if (setting.compares()) {
    add(job.arguments, "codes", fmt::format("{}", fmt::join(setting.codes, ",")));
    add(job.arguments, "k", fmt::format("{}", fmt::join(setting.ks, ",")));
    add(job.arguments, "r", fmt::format("{}", fmt::join(setting.rs, ",")));
  } else {
    add(job.arguments, "k", setting.k);
    if (setting.r != 1) add(job.arguments, "r", setting.r);
    if (setting.code != "learned") add(job.arguments, "code", setting.code);
    if (!setting.encoder.empty()) add(job.arguments, "encoder", setting.encoder);
    if (setting.channels != "aligned") add(job.arguments, "channels", setting.channels);
    for (const Flag& flag : setting.flags) add(job.arguments, flag.name, flag.value);
  }
  add(job.arguments, compute);
  job.kind = fmt::format("{} over {}: {}", job.program, setting.base.label(),
                         fmt::join(job.arguments, " "));
  add(job.arguments, "base", folder_of(setting.base));
  if (!setting.compares()) {
    add(job.arguments, "loss", setting.loss);
    add(job.arguments, "epochs", setting.epochs);
    job.epochs = setting.epochs;
  }
  add(job.arguments, "seed", setting.base.seed);
  return job;
}

Job job_of(const MergeSetting& setting, const ComputeFlags& compute) {
  Job job{.of = setting, .folder = folder_of(setting), .program = "merge_models"};
  std::vector<std::string> datasets, folders;
  for (const BaseModel& model : setting.models) {
    datasets.push_back(model.dataset);
    folders.push_back(folder_of(model));
  }
  add(job.arguments, "datasets", fmt::format("{}", fmt::join(datasets, ",")));
  add(job.arguments, "method", fmt::format("{}", fmt::join(setting.methods, ",")));
  for (const Flag& flag : setting.flags) add(job.arguments, flag.name, flag.value);
  add(job.arguments, compute);
  job.kind = fmt::format("{} of {}: {}", job.program, setting.models[0].label(),
                         fmt::join(job.arguments, " "));
  add(job.arguments, "models", fmt::format("{}", fmt::join(folders, ",")));
  if (setting.start) add(job.arguments, "start", folder_of(*setting.start));
  add(job.arguments, "seed", setting.seed);
  return job;
}

std::vector<BaseModel> models_of(const CodeSetting& setting) { return {setting.base}; }

std::vector<BaseModel> models_of(const MergeSetting& setting) {
  std::vector<BaseModel> models;
  if (setting.start) models.push_back(*setting.start);
  models.insert(models.end(), setting.models.begin(), setting.models.end());
  return models;
}

std::string folder_of(const BaseModel& base) {
  return fmt::format("{}-{}-{}{}-seed{}", base.purpose, base.dataset, base.label(),
                     base.start.empty() ? "" : "-from-" + base.start, base.seed);
}

std::string folder_of_start(const BaseModel& base) {
  if (base.start.empty()) return "";
  return fmt::format("start-{}-{}-seed{}", base.start, base.label(), base.seed);
}

std::string folder_of(const CodeSetting& setting, std::int64_t epochs) {
  const BaseModel& base = setting.base;
  const std::string model = fmt::format("{}-{}", base.dataset, base.label());
  if (setting.compares())
    return fmt::format("codes-{}{}-seed{}", model, setting.label.empty() ? "" : "-" + setting.label,
                       base.seed);
  std::string name = fmt::format("code-{}-k{}-r{}", model, setting.k, setting.r);
  if (setting.code == "learned")
    name += fmt::format("-{}-{}", setting.encoder, setting.loss);
  else
    name += "-" + setting.code;
  if (setting.channels != "aligned") name += "-" + setting.channels;
  for (const Flag& flag : setting.flags)
    name += fmt::format("-{}{}{}", flag.name, flag.value.empty() ? "" : "-", flag.value);
  if (epochs > 0) name += fmt::format("-epochs{}", epochs);
  return name + fmt::format("-seed{}", base.seed);
}

std::string folder_of(const MergeSetting& setting) {
  return fmt::format("merge-{}-{}-{}{}-seed{}", setting.tasks(), setting.models[0].label(),
                     setting.initialisation, setting.label.empty() ? "" : "-" + setting.label,
                     setting.seed);
}

}  // namespace understudy::reproduce
