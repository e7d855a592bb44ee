#include "tools/runs/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <new>

#include "kernels/check.h"
#include "kernels/cpu/isa.h"

namespace understudy {
namespace {

// Errors are one line without control characters, whatever a file or a library put into the text.
void print_error(const std::string& name, std::string text) {
  for (char& c : text)
    if (const auto byte = static_cast<unsigned char>(c); byte < 0x20 || byte == 0x7f)
      c = c == '\n' ? ' ' : '?';
  std::fflush(stdout);
  fmt::print(stderr, "{}: {}\n", name, text);
}

}  // namespace

int run_program(const std::string& name, const std::function<void()>& body) {
  try {
    body();
    // A full disk behind a redirected stdout shows only here.
    if (std::fflush(stdout) != 0) fail("cannot write to stdout");
    return 0;
  } catch (const Exit& exit) {
    std::fflush(stdout);
    return exit.code;
  } catch (const UsageError& error) {
    print_error(name, error.what());
    return 2;
  } catch (const std::bad_alloc&) {
    print_error(name, "out of memory");
    return 1;
  } catch (const std::exception& error) {
    print_error(name, error.what());
    return 1;
  }
}

std::string instruction_set() { return cpu::to_string(cpu::instruction_set()); }

}  // namespace understudy
