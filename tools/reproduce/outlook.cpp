#include "tools/reproduce/outlook.h"

#include <algorithm>

#include "tools/reproduce/budget.h"
#include "tools/reproduce/folder.h"

namespace understudy::reproduce {

using Phase = ChildState::Phase;

Outlook::Outlook(const Plan& plan, std::filesystem::path out, std::map<std::string, Speed> speeds)
    : plan_(plan),
      out_(std::move(out)),
      speeds_(std::move(speeds)),
      phases_(plan.jobs.size(), Phase::waiting),
      epochs_(plan.jobs.size()),
      seconds_(plan.jobs.size()) {
  for (std::size_t i = 0; i < plan.jobs.size(); ++i) {
    const Job& job = plan.jobs[i];
    if (!job.to_run()) phases_[i] = Phase::done;
    if (job.epochs == 0) continue;  // lines of its metrics are no epochs
    epochs_[i] = static_cast<double>(job.before.epochs_done);
    seconds_[i] = job.before.seconds;
    if (epochs_[i] > 0 && !speeds_.contains(job.kind))
      speeds_[job.kind].epoch_seconds = seconds_[i] / epochs_[i];
  }
}

void Outlook::refresh(const std::vector<ChildState>& states) {
  for (std::size_t i = 0; i < states.size(); ++i) {
    const bool new_state = phases_[i] != states[i].phase;
    phases_[i] = states[i].phase;
    if (phases_[i] != Phase::running && !new_state) continue;
    if (plan_.jobs[i].epochs == 0) {
      seconds_[i] = states[i].seconds;
      if (phases_[i] == Phase::done) speeds_[plan_.jobs[i].kind] = {states[i].seconds, 0};
      continue;
    }
    for (const nlohmann::json& line : metrics_in(out_ / plan_.jobs[i].folder)) {
      epochs_[i] = line.value("epoch", epochs_[i]);
      seconds_[i] = line.value("seconds", seconds_[i]);
    }
    if (epochs_[i] > 0) speeds_[plan_.jobs[i].kind].epoch_seconds = seconds_[i] / epochs_[i];
  }
}

std::optional<double> Outlook::job_seconds(std::size_t i, double epochs) const {
  const auto known = speeds_.find(plan_.jobs[i].kind);
  if (known == speeds_.end()) return {};
  return known->second.fixed_seconds + known->second.epoch_seconds * epochs;
}

std::optional<double> Outlook::seconds_left(std::size_t at_once) const {
  std::vector<Work> work(plan_.jobs.size());
  std::vector<std::size_t> unknown;
  double known_seconds = 0, known_jobs = 0;
  for (std::size_t i = 0; i < work.size(); ++i) {
    const Job& job = plan_.jobs[i];
    work[i].after = job.after;
    if (phases_[i] != Phase::waiting && phases_[i] != Phase::running) continue;
    const auto whole = job_seconds(i, static_cast<double>(job.epochs));
    if (!whole) {
      unknown.push_back(i);
      continue;
    }
    known_seconds += *whole;
    ++known_jobs;
    if (job.epochs == 0)
      work[i].seconds = std::max(0.0, *whole - seconds_[i]);
    else
      work[i].seconds = *job_seconds(i, static_cast<double>(job.epochs) - epochs_[i]);
  }
  if (!unknown.empty() && known_jobs == 0) return {};
  for (const std::size_t i : unknown) work[i].seconds = known_seconds / known_jobs;
  return schedule_seconds(work, at_once);
}

double Outlook::part_done() const {
  double done = 0;
  for (std::size_t i = 0; i < plan_.jobs.size(); ++i) {
    const bool ended = phases_[i] != Phase::waiting && phases_[i] != Phase::running;
    const auto epochs = static_cast<double>(plan_.jobs[i].epochs);
    done += ended ? 1 : epochs > 0 ? epochs_[i] / epochs : 0;
  }
  return plan_.jobs.empty() ? 1 : done / static_cast<double>(plan_.jobs.size());
}

}  // namespace understudy::reproduce
