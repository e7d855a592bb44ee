// Numbered pieces of work that threads of their own do ahead of the thread that takes them.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace understudy {

// Item i is made in slot i mod slots, whatever thread makes it, and items are taken in their order:
// what comes out does not depend on the number of workers. The slot taken last belongs to the
// taker; the others are filled ahead of it.
class WorkAhead {
 public:
  // Makes `item` in `slot`; called by several threads at once, for different slots. May throw.
  using Make = std::function<void(std::int64_t item, std::size_t slot)>;

  // 0 workers: take() makes its item itself. UsageError unless 0 <= workers <= 1024; Error when a
  // thread cannot be started.
  WorkAhead(std::int64_t workers, std::size_t slots, Make make);
  // Waits for items that are being made; begins no more.
  ~WorkAhead();
  WorkAhead(const WorkAhead&) = delete;
  WorkAhead& operator=(const WorkAhead&) = delete;

  static std::size_t slots_for(std::int64_t workers);  // enough that no worker waits for a slot

  // Drops what has been made and waits until nothing is being made.
  void stop();
  // stop(), then begins with item `begin`.
  void start(std::int64_t begin, std::int64_t end);
  // The next item's slot, which stays as it is until the next take(), stop() or start(). Throws
  // what `make` threw for this item; the one after it can be taken all the same. Error at the end.
  std::size_t take();

 private:
  struct Slot {
    bool ready = false;
    std::exception_ptr error;
  };

  void start_threads(std::int64_t workers);
  void end_threads();
  void work();

  Make make_;
  std::vector<Slot> slots_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;  // guards what follows, and slots_
  std::condition_variable to_make_, made_;
  std::int64_t next_ = 0, end_ = 0;  // the items still to be begun
  std::int64_t taken_ = 0;           // items before this one were taken
  std::int64_t being_made_ = 0;
  bool ending_ = false;
};

}  // namespace understudy
