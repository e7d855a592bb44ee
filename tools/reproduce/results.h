// results.jsonl: what an experiment obtained, gathered from its run folders; a JSON object a line.
//
//   {"kind": "experiment", "experiment": "learning-a-code", "title", "source", "machine",
//    "command", "settings": 60, "cut": [...], "notes": [...]}          the first of an experiment
//   {"kind": "published", "dataset", "base", "k", "r", "code", "metric", "value", "note"}
//   {"kind": "result", "setting", "dataset", "base", "base_model", "reduced", "code", "encoder",
//    "loss", "channels", "k", "r", "seed", "epochs", "epochs_published", "commit", "device",
//    "instruction_set", "threads", "seconds", "command", "values": {...}, "curve": [...]}
//   {"kind": "merge", "setting", "tasks": [...], "base", "base_model", "initialisation", "start",
//    "models", "seed", "reduced", "commit", "device", "instruction_set", "threads", "command",
//    "method", "points", "fisher", "fisher_data", "damping", "weights", "values": {...},
//    "base_accuracies": [...], "decoded_accuracies": [...], "curve": [...]}
//
// "values" are those of the run's result.json, accuracies in 0..1, without what the line says
// elsewhere, "rows", "explanation" and "cost"; "curve" has the lines of its metrics.jsonl. A
// comparison has a line for each row of its result.json, without a curve, and its values are also
// without "calibration" and "declining". A merge has a line for each row, too: null stands for what
// its method does not look at, the normalised decoding accuracy among its values is in per cent,
// and "curve" has the epochs of a distillation; "searched" and "by_late" are there where the row
// has them. A setting that has not been run to its end has no line.
// Floating-point numbers have six digits. "machine" is a kind of processor and a number of cores;
// no line has a host's name or a path.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/reproduce/experiment.h"

namespace understudy::reproduce {

// "AMD EPYC, 2 cores"
std::string machine(int cores);

nlohmann::json experiment_line(const Experiment& experiment, const std::string& machine,
                               const std::string& command, const std::vector<std::string>& cut);
std::vector<nlohmann::json> published_lines(const Experiment& experiment);
// Of the setting's finished folder with the most epochs, none where there is none; a comparison and
// a merge have a line for each of their rows. Error where a file is damaged.
std::vector<nlohmann::json> result_lines(const Experiment& experiment, const Setting& setting,
                                         const std::filesystem::path& out);

// For people: the setting, and how well it did.
std::string summary(const nlohmann::json& result_line);

// What stands in the file of the experiment's name; {} where it does not.
nlohmann::json experiment_line_in(const std::filesystem::path& file, const std::string& name);
// Puts `lines` in the place of what the file has of experiment `name`; others' lines stay. A reader
// sees the old file or the new one.
void write_results(const std::filesystem::path& file, const std::string& name,
                   const std::vector<nlohmann::json>& lines);

}  // namespace understudy::reproduce
