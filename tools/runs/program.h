// How every program of the project starts and ends.
#pragma once

#include <functional>
#include <string>

namespace understudy {

// Thrown to end a program from inside with this exit status and no message.
struct Exit {
  int code = 0;
};

// Runs `body` and returns the exit status: 0, or after one line on stderr 2 for UsageError and 1
// for every other error; Exit's code for Exit.
//   int main(int argc, char** argv) { return run_program("report", [&] { report(argc, argv); }); }
int run_program(const std::string& name, const std::function<void()>& body);

// ---- what a run's header says of the program ----
std::string version();          // "0.1.0"
std::string commit();           // "1f2e3d4c5b6a", with "-dirty" after it, or "unknown"
std::string compiler();         // "g++ 12.2.0, Release"
std::string instruction_set();  // "avx2": what the kernels chose on this machine

}  // namespace understudy
