// What an action says when it fails.
#pragma once

#include <string>

#include "kernels/check.h"

namespace understudy::testing {

// The text of the Error that `action` throws; "(no error)" when it throws none.
template <class Action>
std::string error_text(Action&& action) {
  try {
    action();
  } catch (const Error& e) {
    return e.what();
  }
  return "(no error)";
}

}  // namespace understudy::testing
