// Running a grid on the CPU.
#pragma once

#include <functional>

namespace emulated {

// Calls `thread` for every thread of every block, with threadIdx, blockIdx, blockDim and gridDim
// set. Ends the program where threads wait for each other in vain.
void run_grid(const unsigned (&blocks)[3], const unsigned (&threads)[3], bool reversed,
              const std::function<void()>& thread);

}  // namespace emulated
