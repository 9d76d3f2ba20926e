#pragma once
// Which handlers were running when a process died (DESIGN §3): a small memory-mapped file, written without fsync, read
// at the next start. The page cache survives the process; a machine that lost power has nothing to blame a handler for.

#include <memory>
#include <string>
#include <vector>

#include "schemas/ids.hpp"

namespace holdfast {

class crash_slots {
public:
  struct crashed {
    agent_name agent;
    run_id run;
  };

  /// Opens or makes the file, and takes what the last process left in it.
  static result<std::unique_ptr<crash_slots>> open(const std::string& path);
  ~crash_slots();
  crash_slots(const crash_slots&) = delete;
  crash_slots& operator=(const crash_slots&) = delete;

  const std::vector<crashed>& found() const noexcept { return found_; }

  /// Marks the calling thread as inside this handler, and out of it. Thread-safe; nothing when all slots are taken.
  void enter(const agent_name& agent, const run_id& run) noexcept;
  void leave() noexcept;

private:
  struct slot;
  crash_slots() = default;
  slot* mine() noexcept;

  slot* slots_ = nullptr;
  std::vector<crashed> found_;
};

}  // namespace holdfast
