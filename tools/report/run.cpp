#include "tools/report/run.h"

#include "engine/safetensors.h"
#include "kernels/check.h"

namespace understudy::report {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json read_optional_object(const fs::path& path) {
  return fs::exists(path) ? read_object(path) : json::object();
}

std::vector<json> read_lines(const fs::path& path) {
  std::vector<json> lines;
  if (!fs::exists(path)) return lines;
  for (JsonLine& line : json_lines(read_text(path), path.string()))
    lines.push_back(std::move(line.object));
  return lines;
}

Samples read_samples(const fs::path& path) {
  const Safetensors file = read_safetensors(path);
  Samples samples{file.at("inputs"), file.at("parities"), {}};
  if (const Tensor* labels = file.find("labels")) samples.labels = *labels;
  const Shape &in = samples.inputs.shape(), &out = samples.parities.shape();
  bool fits = in.rank() == 5 && out.rank() == 5 && samples.inputs.dtype() == DType::u8 &&
              samples.parities.dtype() == DType::f32 && in[0] == out[0] && in.count() > 0 &&
              out.count() > 0 && (in[4] == 1 || in[4] == 3);
  for (const int axis : {2, 3, 4}) fits = fits && in[axis] == out[axis];
  check(fits,
        "{}: expected inputs uint8 (G,k,H,W,C) and parities float32 (G,r,H,W,C), C = 1 or 3, "
        "found {} {} and {} {}",
        path.string(), to_string(samples.inputs.dtype()), to_string(in),
        to_string(samples.parities.dtype()), to_string(out));
  if (samples.labels.defined())
    check(samples.labels.dtype() == DType::i64 && samples.labels.count() == in[0] * in[1],
          "{}: expected {} labels (int64), found {} {}", path.string(), in[0] * in[1],
          to_string(samples.labels.dtype()), to_string(samples.labels.shape()));
  return samples;
}

}  // namespace

std::string Run::program() const { return text(header, "program").value_or("unknown program"); }

Run read_run(const fs::path& folder) {
  check(fs::is_directory(folder), "{}: expected a run folder, found {}", folder.string(),
        fs::exists(folder) ? "a file" : "nothing");
  check(fs::exists(folder / "header.json"),
        "{}: not a run folder: it has no header.json (the trainers write one into --out)",
        folder.string());
  Run run;
  run.folder = folder;
  const fs::path absolute = fs::absolute(folder).lexically_normal();
  run.name = (absolute.has_filename() ? absolute : absolute.parent_path()).filename().string();
  run.header = read_object(folder / "header.json");
  run.finished = fs::exists(folder / "result.json");
  run.result = read_optional_object(folder / "result.json");
  run.epochs = read_lines(folder / "metrics.jsonl");
  if (const fs::path path = folder / "samples.safetensors"; fs::exists(path))
    run.samples = read_samples(path);
  return run;
}

std::optional<double> number(const Run& run, std::string_view key) {
  if (auto value = number(run.result, key)) return value;
  const auto settings = run.header.find("settings");
  return settings == run.header.end() ? std::nullopt : number(*settings, key);
}

std::optional<std::string> text(const Run& run, std::string_view key) {
  if (auto value = text(run.result, key)) return value;
  const auto settings = run.header.find("settings");
  return settings == run.header.end() ? std::nullopt : text(*settings, key);
}

}  // namespace understudy::report
