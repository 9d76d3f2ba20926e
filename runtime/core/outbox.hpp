#pragma once
// Messages on their way to other partitions: numbered per target, kept until acknowledged, sent again after a backoff
// while the target has no room. One full target does not hold up the others.

#include <deque>
#include <map>
#include <set>
#include <vector>

#include "schemas/state.hpp"

namespace holdfast {

class outbox {
public:
  struct key {
    group_id target = 0;
    std::uint64_t sequence = 0;
    auto operator<=>(const key&) const = default;
  };
  struct due_message {
    key at;
    const outbox_message* message;
  };

  /// The next number for a target, given out once.
  std::uint64_t next_for(group_id target);
  /// Takes numbers back that were never appended; the last ones first.
  void give_back(group_id target, std::uint64_t sequence);
  void restore(group_id target, std::uint64_t next) { next_[target] = next; }

  void add(key at, outbox_message message);
  void acknowledged(key at);
  bool holds(key at) const { return pending_.contains(at); }
  /// The target had no room, or did not answer: due again later.
  void refused(key at, time_us now);
  /// What must be sent now; each is due again after a while unless it is acknowledged.
  std::vector<due_message> take_due(time_us now);
  /// When the next message is due; 0 when none is pending.
  time_us next_due() const noexcept;
  std::size_t size() const noexcept { return pending_.size(); }
  /// A message that is pending, or null.
  const outbox_message* find(key at) const;

private:
  struct pending {
    outbox_message message;
    time_us due = 0;
    std::uint32_t attempts = 0;
  };
  std::map<group_id, std::uint64_t> next_;
  void schedule(key at, pending& one, time_us due);

  std::map<key, pending> pending_;
  std::set<std::pair<time_us, key>> schedule_;
};

}  // namespace holdfast
