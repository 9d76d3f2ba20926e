#pragma once
// Clients that wait for an answer, by number: closures stay here, only numbers go into shards (DESIGN §3).

#include <array>
#include <atomic>
#include <mutex>
#include <unordered_map>

#include "runtime/gateway/backend.hpp"

namespace holdfast {

/// Thread-safe.
class request_table {
public:
  explicit request_table(std::uint32_t node) : node_(node) {}

  /// `group`: where the answer will come from.
  request_ref add(answer_function tell, bool until_end, group_id group);
  /// Answers on the calling thread. Unknown numbers are ignored: their client was answered.
  void tell(const request_ref& to, answer what);
  /// The group is not led here any more: its clients learn, on this thread, that their outcome is
  /// unknown.
  void lose(group_id group);
  /// Lets go of all that wait, before what their closures lead to is taken apart. Nothing is added any more.
  void end();
  std::size_t size() const;

private:
  struct waiting {
    answer_function tell;
    bool until_end = false;
    group_id group = 0;
  };
  struct part {
    mutable std::mutex mutex;
    std::unordered_map<std::uint64_t, waiting> requests;
  };
  static constexpr std::size_t part_count = 16;

  std::uint32_t node_;
  std::atomic<std::uint64_t> next_{1};
  std::array<part, part_count> parts_;
};

}  // namespace holdfast
