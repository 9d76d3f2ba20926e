#pragma once
// What the consensus host asks of its shell: writes, messages, and news.

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "schemas/consensus.hpp"
#include "schemas/ids.hpp"

namespace holdfast::consensus {

/// Applied to what is stored of the group, in the order of the fields.
struct log_write {
  group_id group = 0;
  std::optional<hard_state> hard;
  /// The whole log goes and the state becomes the fetched snapshot's, with its metadata and applied
  /// index.
  std::optional<std::uint64_t> install;  ///< id of the snapshot
  std::optional<snapshot_metadata> snapshot;
  std::uint64_t truncate_from = 0;  ///< entries from here on go; 0: none
  std::uint64_t first = 0;          ///< index of the first of `entries`
  std::vector<entry> entries;
  std::uint64_t erase_before = 0;  ///< entries before this go; 0: none
};

/// Written all or nothing, in order of number, into the same write-ahead log as the applied state.
struct write_batch {
  std::uint64_t number = 0;  ///< from 1, without gaps
  bool sync = false;         ///< tell the host (`persisted`) once it is durable
  std::vector<log_write> writes;
};

struct outgoing {
  group_id group = 0;
  node_id to = 0;
  std::uint64_t after_batch = 0;  ///< not before this batch is durable; 0: at once
  message body;
};

/// To be applied after the batch is written (it need not be durable), then reported with `applied`.
struct entries_committed {
  group_id group = 0;
  std::uint64_t after_batch = 0;
  std::uint64_t first = 0;
  std::vector<entry> entries;  ///< of all kinds
};

struct leadership_gained {
  group_id group = 0;
  std::uint64_t term = 0;
};

/// What was proposed in this term and not reported as committed before is unknown: it may yet be.
struct leadership_lost {
  group_id group = 0;
  std::uint64_t term = 0;
};

/// A member is too far behind for the log: pin the state of the group and answer with
/// `offer_snapshot`.
struct snapshot_wanted {
  group_id group = 0;
  node_id to = 0;
  std::uint64_t term = 0;
  std::uint64_t index_min = 0;  ///< the state must have applied at least this
};

/// Fetch that snapshot from that node, then `snapshot_fetched` or `snapshot_failed`.
struct install_wanted {
  group_id group = 0;
  node_id from = 0;
  std::uint64_t snapshot_id = 0;
  snapshot_metadata metadata;
};

/// Answer to `add_member` and `remove_member`.
struct change_ended {
  group_id group = 0;
  node_id member = 0;
  errc outcome = errc::ok;  ///< `ok`; `timeout`: not all done, may be asked for again;
                            ///< `unknown_outcome`: leadership lost
};

/// Answer to `transfer`, unless leadership is lost, as it should be.
struct transfer_failed {
  group_id group = 0;
  node_id to = 0;
};

using event = std::variant<entries_committed, leadership_gained, leadership_lost, snapshot_wanted,
                           install_wanted, change_ended, transfer_failed>;

struct output {
  std::optional<write_batch> batch;
  std::vector<outgoing> messages;
  std::vector<event> events;  ///< in order
};

}  // namespace holdfast::consensus
