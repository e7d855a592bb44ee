// The public op under way on this thread, for messages of what it called: an asynchronous error of a
// device, or memory that is not there.
#pragma once

namespace understudy {

class OpName {
 public:
  explicit OpName(const char* name) : before_(here) { here = name; }
  ~OpName() { here = before_; }
  OpName(const OpName&) = delete;
  OpName& operator=(const OpName&) = delete;
  // "" outside of ops.
  static const char* current() { return here; }

 private:
  static inline thread_local const char* here = "";
  const char* before_;
};

}  // namespace understudy
