// How far a plan's runs are, and how long they will still take.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tools/reproduce/children.h"
#include "tools/reproduce/plan.h"

namespace understudy::reproduce {

// Of a kind of run, on one core.
struct Speed {
  double fixed_seconds = 0;  // before the first epoch and after the last
  double epoch_seconds = 0;
};

class Outlook {
 public:
  // `speeds`: of kinds, where they are known before anything runs.
  Outlook(const Plan& plan, std::filesystem::path out, std::map<std::string, Speed> speeds = {});

  // Reads what the running jobs have written since. `states` as of run_children, one for each job.
  void refresh(const std::vector<ChildState>& states);

  // Until the last job ends, with `at_once` at work; nothing while no job has shown its speed.
  std::optional<double> seconds_left(std::size_t at_once) const;
  // Of the work, in 0..1.
  double part_done() const;

 private:
  std::optional<double> job_seconds(std::size_t i, double epochs) const;

  const Plan& plan_;
  std::filesystem::path out_;
  std::map<std::string, Speed> speeds_;    // of kinds
  std::vector<ChildState::Phase> phases_;  // of jobs
  std::vector<double> epochs_, seconds_;   // done by each job
};

}  // namespace understudy::reproduce
