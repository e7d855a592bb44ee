// Errors for people: what was expected, what was found, where.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>

namespace understudy {

// The one exception type of the project. Its text is a full sentence for a person; programs print
// it on one line and exit 1.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The user asked for something impossible (an unknown name, a value out of range). Programs exit 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> text, Args&&... args) {
  throw Error(fmt::format(text, std::forward<Args>(args)...));
}

// Throws Error with the formatted text unless `condition` holds. The text is only built on failure.
template <class... Args>
inline void check(bool condition, fmt::format_string<Args...> text, Args&&... args) {
  if (!condition) [[unlikely]]
    throw Error(fmt::format(text, std::forward<Args>(args)...));
}

}  // namespace understudy
