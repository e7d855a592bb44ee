// Compiled again whenever the git commit changes, so it holds nothing else.
#include "tools/runs/program.h"
#include "understudy_version.h"  // written by version.cmake

namespace understudy {

std::string version() { return UNDERSTUDY_VERSION; }
std::string commit() { return UNDERSTUDY_COMMIT; }
std::string compiler() { return UNDERSTUDY_COMPILER; }

}  // namespace understudy
