// merge_models fisher: a network's Fisher information as a file, so that it can be merged later
// without data.
#pragma once

namespace understudy {

// argv[0] is "fisher".
void write_fisher(int argc, char** argv);

}  // namespace understudy
