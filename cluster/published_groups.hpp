#pragma once
// What every thread may ask about the groups of the replicated log.

#include <atomic>
#include <mutex>
#include <vector>

#include "cluster/group_standing.hpp"

namespace holdfast {

/// Written by the log's thread; what it says is never more than true. Times are of one steady clock that counts sleep.
class published_groups {
public:
  /// Before any other thread asks: numbers of groups are below this.
  void prepare(std::size_t count) { groups_ = std::vector<published>(count); }

  // ---- the log's thread
  /// It leads, in this term; until when, `renew` says.
  void lead(group_id group, std::uint64_t term) noexcept;
  void lose(group_id group) noexcept;
  void lose_all() noexcept;
  void apply(group_id group, std::uint64_t index) noexcept;
  /// `lease_until_ms` 0: it does not lead, or not for sure.
  void renew(const group_standing& now, std::uint64_t lease_until_ms,
             std::uint64_t now_ms) noexcept;
  void set_standings(std::vector<group_standing> now);

  // ---- any thread
  /// Until when no other node can lead; 0: this one does not, in that term. To be compared with a clock that is read
  /// after this, or the time in between would not count.
  std::uint64_t lease_until_ms(group_id group, std::uint64_t term) const noexcept;
  std::uint64_t lease_until_ms(group_id group) const noexcept;  ///< in whatever term
  consensus::node_id leader_of(group_id group) const noexcept;  ///< 0: not known
  std::uint64_t applied(group_id group) const noexcept;
  /// For how long no leader has been known; 0: there is one.
  std::int64_t leaderless_ms(group_id group, std::uint64_t now_ms) const noexcept;
  std::vector<group_standing> standings() const;

private:
  struct published {
    std::atomic<std::uint64_t> term{0};
    std::atomic<std::uint64_t> lease_until_ms{0};
    std::atomic<consensus::node_id> leader{0};
    std::atomic<std::uint64_t> applied{0};
    std::atomic<std::uint64_t> leader_seen_ms{0};
  };

  std::vector<published> groups_;  // by number
  mutable std::mutex mutex_;
  std::vector<group_standing> standings_;
};

}  // namespace holdfast
