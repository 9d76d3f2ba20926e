#pragma once
// The entries of one group that are in memory: everything that is not trimmed. Also the
// configurations in them.

#include <cstdint>
#include <deque>
#include <vector>

#include "schemas/consensus.hpp"

namespace holdfast::consensus {

/// Indexes have no gap. Entry data is shared, so a copy is cheap. Aborts when it is asked for what
/// it does not hold.
class raft_log {
public:
  /// What is stored; the stored state is trusted to be in order (raft_core::start checks).
  explicit raft_log(const stored_group& stored = {});

  std::uint64_t first() const noexcept { return first_; }
  std::uint64_t last() const noexcept { return first_ + entries_.size() - 1; }
  std::size_t bytes() const noexcept { return bytes_; }                     ///< of data
  const snapshot_metadata& snapshot() const noexcept { return snapshot_; }  ///< index 0: none

  bool holds(std::uint64_t index) const noexcept { return index >= first_ && index <= last(); }
  const entry& at(std::uint64_t index) const;
  /// 0 when it is not known: trimmed, or past the end.
  std::uint64_t term_at(std::uint64_t index) const noexcept;

  void append(entry value);
  void truncate(std::uint64_t from);  ///< erases this entry and all after it
  /// The state holds everything up to `index`; entries before `first_kept` (at most index + 1) go.
  void trim(std::uint64_t index, std::uint64_t first_kept);
  void install(snapshot_metadata metadata);  ///< the snapshot takes the place of the whole log

  struct change {
    std::uint64_t index = 0;
    configuration members;
  };
  /// The newest configuration at or before this index. Index 0: none is known.
  const change& configuration_at(std::uint64_t index) const noexcept;
  /// Whether it is committed or not.
  const change& configuration_newest() const noexcept { return changes_.back(); }

private:
  std::deque<entry> entries_;
  std::uint64_t first_ = 1;
  std::size_t bytes_ = 0;
  snapshot_metadata snapshot_;
  std::vector<change> changes_;  // ascending; never empty: the first may be {0, nobody}
};

}  // namespace holdfast::consensus
