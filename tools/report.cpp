// Turns run folders, and results files of `reproduce`, into one HTML page that opens from disk, and
// prints its tables.
//
//   build/bin/report runs/base runs/code --out report.html
//   build/bin/report runs/paper/results.jsonl --out report.html
//
// ends with a line like
//
//   report: report.html

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/atomic_file.h"
#include "kernels/check.h"
#include "tools/report/inputs.h"
#include "tools/report/page.h"
#include "tools/runs/program.h"

namespace understudy {
namespace {

struct Arguments {
  std::vector<std::filesystem::path> inputs;
  std::filesystem::path out = "report.html";
};

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  bool show_version = false;
  CLI::App app(
      "Turns run folders and results files into one self-contained HTML page, and prints its "
      "tables.",
      "report");
  app.footer(
      "\nExample:\n  report runs/base runs/code --out report.html\n  report "
      "runs/paper/results.jsonl "
      "--out report.html\nIt ends with: report: "
      "report.html");
  app.add_option("RUN", arguments.inputs,
                 "folders that the programs wrote (their --out), and results.jsonl of reproduce")
      ->type_name("PATH");
  app.add_option("--out", arguments.out, "the page")->type_name("FILE")->capture_default_str();
  app.add_flag("--version", show_version, "print version and git commit");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.help());
    throw Exit{0};
  } catch (const CLI::ParseError& error) {
    throw UsageError(error.what());
  }
  if (show_version) {
    fmt::print("report {} (commit {})\n", version(), commit());
    throw Exit{0};
  }
  if (arguments.inputs.empty())
    throw UsageError("expected run folders, e.g. report runs/base runs/code; see --help");
  return arguments;
}

void write_report(int argc, char** argv) {
  const Arguments arguments = parse(argc, argv);
  const report::Inputs inputs = report::read_inputs(arguments.inputs);
  // Everything is read and drawn before anything is written.
  const std::string page = report::page(inputs.runs, inputs.experiments),
                    summary = report::summary(inputs.runs, inputs.experiments);
  write_file_atomically(arguments.out, page);
  fmt::print("{}\nreport: {}\n", summary, arguments.out.string());
}

}  // namespace
}  // namespace understudy

int main(int argc, char** argv) {
  return understudy::run_program("report", [&] { understudy::write_report(argc, argv); });
}
