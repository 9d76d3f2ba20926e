#pragma once
// The records that one group's leader was given and that are not committed: how they become entries of the log.

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "cluster/log_inbox.hpp"

namespace holdfast {

/// Not thread-safe.
class group_proposals {
public:
  struct entry {
    std::vector<std::shared_ptr<const turn_record>> records;
    std::size_t bytes = 0;  ///< of them, in memory
  };
  /// Records that are not counted any more.
  struct dropped {
    std::size_t records = 0;
    std::size_t bytes = 0;
  };

  void wait(proposal what) { waiting_.push_back(std::move(what)); }
  /// The one that has waited longest; null: none does.
  const proposal* next() const { return waiting_.empty() ? nullptr : &waiting_.front(); }
  /// One entry of those that wait, up to that many bytes: at least one, and none behind a backup cut, which is the last
  /// of its entry. They still wait: the log may have no room.
  entry pack(std::size_t bytes_max) const;
  /// What `pack` gave is in the log at that index.
  void appended(std::uint64_t index, entry packed);
  /// What was appended there, once; nothing: not by this leader.
  std::optional<entry> take(std::uint64_t index);

  /// Those that were given to the leader of that term stay; 0: none does.
  dropped drop_waiting(std::uint64_t but_term);
  dropped drop_all();

private:
  std::deque<proposal> waiting_;             // not appended yet
  std::map<std::uint64_t, entry> appended_;  // by index; not committed yet
};

}  // namespace holdfast
