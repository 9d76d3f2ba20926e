#pragma once
// The words of the replicated log: entries, configurations, what is stored of a group, and the
// messages of the Raft protocol (Ongaro, "Consensus: Bridging Theory and Practice", 2014). Plain
// values; nothing of libraft shows.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "schemas/error.hpp"

namespace holdfast::consensus {

/// Of an entry of the log: what is larger is never made, and ends the link that brings it.
inline constexpr std::size_t entry_bytes_max = 64U << 20;

/// A node of the cluster, from 1. Never reused for a node with an emptied disk.
using node_id = std::uint64_t;

/// What a member does. The numbers are libraft's, on disk and on the wire.
enum class role : std::uint8_t {
  standby = 0,  ///< gets the log, does not vote
  voter = 1,
  spare = 2,  ///< gets the log only while it catches up
};

struct member {
  node_id id = 0;
  std::string address;  ///< for the node link; consensus never looks into it
  role as = role::voter;
  bool operator==(const member&) const = default;
};

struct configuration {
  std::vector<member> members;
  const member* find(node_id id) const noexcept;
  std::size_t voters() const noexcept;
  bool is_voter(node_id id) const noexcept;
  bool operator==(const configuration&) const = default;
};

/// Ids and addresses are set and differ, and somebody votes. Errors: `malformed`.
status check(const configuration& value);
/// libraft's format (its docs/disk-format.rst, "Configuration"): little-endian, padded to 8 bytes.
std::string encode(const configuration& value);
/// Errors: `malformed`, also for what `check` refuses.
result<configuration> decode_configuration(std::string_view bytes);

/// The numbers are libraft's, on disk and on the wire.
enum class entry_kind : std::uint8_t {
  command = 1,
  barrier = 2,  ///< empty: commits what earlier terms left
  change = 3,   ///< an encoded configuration
};

struct entry {
  std::uint64_t term = 0;
  entry_kind kind = entry_kind::command;
  std::shared_ptr<const std::string> data;  ///< never null; shared by log, messages and writes
};

/// What a node must not forget: a term never goes back, and one vote is given in a term.
struct hard_state {
  std::uint64_t term = 0;
  node_id vote = 0;  ///< 0: none in this term
  bool operator==(const hard_state&) const = default;
};

/// Of a state that holds everything up to `index`.
struct snapshot_metadata {
  std::uint64_t index = 0;
  std::uint64_t term = 0;  ///< of the entry at `index`
  configuration members;   ///< as of `index`
  std::uint64_t configuration_index = 0;
  bool operator==(const snapshot_metadata&) const = default;
};

/// The entries that are the log, where others are still stored: see cluster/raft_store.hpp.
struct log_range {
  std::uint64_t first = 1;
  std::uint64_t last = 0;  ///< first - 1: none
  bool operator==(const log_range&) const = default;
};

/// What is stored of one group. All zero for a group that nobody has written to yet.
struct stored_group {
  hard_state hard;
  std::optional<snapshot_metadata> snapshot;
  std::uint64_t first_index = 1;  ///< of `entries`; at most one past the snapshot's index
  std::vector<entry> entries;
  std::uint64_t applied = 0;  ///< what the state holds; at least the snapshot's index
};

/// What a new group starts from: entry 1 is its first configuration, equal on all its members.
stored_group new_group(const configuration& members);

// ---- messages
// -------------------------------------------------------------------------------------------------
// `clock_ms` is the sender's steady clock when a leader made the message. A follower gives it back
// with its next result and never compares it with its own clock: so the leader knows how old a
// contact is, however long messages took.

struct append_entries {
  std::uint64_t term = 0;
  std::uint64_t prev_log_index = 0;
  std::uint64_t prev_log_term = 0;
  std::uint64_t leader_commit = 0;
  std::uint64_t clock_ms = 0;
  std::vector<entry> entries;
};

struct append_entries_result {
  std::uint64_t term = 0;
  std::uint64_t rejected = 0;  ///< the index that did not match, or 0
  std::uint64_t last_log_index = 0;
  std::uint64_t clock_ms = 0;  ///< newest that was heard from the leader of this term, or 0
};

struct request_vote {
  std::uint64_t term = 0;
  node_id candidate = 0;
  std::uint64_t last_log_index = 0;
  std::uint64_t last_log_term = 0;
  bool disrupt_leader = false;  ///< the leader itself asked for this election
  bool pre_vote = false;
};

struct request_vote_result {
  std::uint64_t term = 0;
  bool granted = false;
  bool pre_vote = false;
};

/// A manifest: the state itself is fetched from the sender by its id.
struct install_snapshot {
  std::uint64_t term = 0;
  std::uint64_t clock_ms = 0;
  std::uint64_t snapshot_id = 0;  ///< chosen by the sender's shell
  snapshot_metadata metadata;
};

struct timeout_now {
  std::uint64_t term = 0;
  std::uint64_t last_log_index = 0;
  std::uint64_t last_log_term = 0;
};

using message = std::variant<append_entries, append_entries_result, request_vote,
                             request_vote_result, install_snapshot, timeout_now>;

std::uint64_t term_of(const message& value) noexcept;

}  // namespace holdfast::consensus
