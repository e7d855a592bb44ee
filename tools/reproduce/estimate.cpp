#include "tools/reproduce/estimate.h"

#include "kernels/parallel.h"
#include "tools/reproduce/probe.h"
#include "tools/runs/interrupt.h"

namespace understudy::reproduce {

std::map<std::string, Speed> measure_speeds(const Plan& plan, const std::filesystem::path& data_dir,
                                            Device device, Progress& progress) {
  set_num_threads(1);
  std::map<std::string, const Job*> kinds;  // one job of each
  for (const Job& job : plan.jobs)
    if (job.to_run()) kinds[job.kind] = &job;
  Probe probe(data_dir, device);
  std::map<std::string, Speed> speeds;
  progress.begin("measuring", static_cast<std::int64_t>(kinds.size()));
  for (const auto& [kind, job] : kinds) {
    if (interrupted()) break;
    speeds[kind] = std::visit([&](const auto& made) { return probe.speed(made); }, job->of);
    progress.update(static_cast<std::int64_t>(speeds.size()), kind);
  }
  progress.end();
  return speeds;
}

}  // namespace understudy::reproduce
