#pragma once
// What is stored of a group for consensus, and how the host's writes become it.
//
//   family::log   group ‖ index              an entry
//   family::meta  keys::hard_state           term and vote
//                 keys::snapshot_metadata    of the state that the log goes on after
//                 keys::log_state            {term of the applied entry, applied index}: `put_applied`
//                 keys::log_range            first and last index of the log, while other entries
//                                            are still stored
//
// Entries that are trimmed, truncated or superseded by a snapshot are out of the log with the write
// that says so, but erasing thousands of them at once would hold up everybody: a write erases a
// bounded number of keys, later ones the rest. Until none is left, `log_range` says in every write
// which entries are the log, so that a crash at any point brings none of the others back.
// Keys are erased with `erase`: after a truncation an index is written again.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cluster/raft_output.hpp"
#include "persistence/store.hpp"
#include "schemas/consensus.hpp"

namespace holdfast::consensus {

/// Which entries of a group are the log, and which others are still stored. Kept by whoever writes,
/// one per group, from `load` on; a write that fails ends the process, so it is never taken back.
struct stored_range {
  log_range log;
  std::vector<log_range> leftovers;  ///< every index in them is stored, none is in the log
  bool is_marked = false;            ///< keys::log_range is stored
  bool operator==(const stored_range&) const = default;
};

/// How many keys may be erased yet, by all groups, in one `write_set`.
struct erase_budget {
  std::size_t left = 4096;
};

/// Everything that the host asks for, and a new group (its `hard` and `entries`, from 1 on); but not
/// the state of an `install`: the old log goes here, while the state, and `put_applied` with the
/// snapshot's index and term, are for the caller to put into the same write. Entries that do not
/// follow the log without a gap are a broken invariant.
void put(const log_write& write, stored_range& range, write_set& out, erase_budget& budget);

/// Erases some of what earlier writes left over; `put` does so as well. For groups that are written
/// to rarely: while `range.leftovers` is not empty, in any later write.
void erase_leftovers(group_id group, stored_range& range, write_set& out, erase_budget& budget);

/// An import takes every entry of the group away, those left over as well, but not the mark: the next `put` does that.
void forget_entries(stored_range& range);

/// To be put into the write that holds what applying the entries up to this one has changed. `term`
/// is that entry's: `load` compares.
void put_applied(group_id group, std::uint64_t index, std::uint64_t term, write_set& out);

struct loaded_group {
  stored_group stored;
  stored_range range;
};

/// All zero for a group that was never written. Reads the whole log. Errors: `io_failure`; `corrupt`
/// for bytes that do not parse or are of a newer format, entries that are missing, and an applied
/// index that is not of this log; all say which group and index.
result<loaded_group> load(const reader& from, group_id group);

}  // namespace holdfast::consensus
