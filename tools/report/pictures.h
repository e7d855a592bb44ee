// The parity pictures of a run, as HTML.
#pragma once

#include <string>

#include "tools/report/run.h"

namespace understudy::report {

// Up to `most` groups: the k inputs with their labels, and beside them the r parity inputs that the
// encoder made of them. The parities' range over the groups shown is mapped to black..white, and
// stated. "" when the run has no samples.
std::string parity_pictures(const Run& run, int most = 8);

}  // namespace understudy::report
