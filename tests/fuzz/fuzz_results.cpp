// Any bytes either are refused with an Error of one line or become experiments that can be drawn.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "kernels/check.h"
#include "tools/report/experiment_page.h"
#include "tools/report/results_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace understudy;
  std::vector<report::Experiment> experiments;
  try {
    report::read_results({reinterpret_cast<const char*>(data), size}, "input", experiments);
  } catch (const Error& error) {
    if (std::string(error.what()).find('\n') != std::string::npos) std::abort();
    return 0;
  }
  // What was accepted has a page, whatever its numbers are.
  for (const report::Experiment& experiment : experiments) {
    const std::string section = report::experiment_section(experiment);
    if (!section.ends_with("</section>\n") || section.find("<script") != std::string::npos)
      std::abort();
    report::experiment_summary(experiment);
  }
  return 0;
}
