#pragma once
// What two nodes say to each other on their link. A link carries frames in order, each whole; what
// follows from a lost link is said at each kind. `position` of a snapshot is opaque to who asks.

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "schemas/consensus.hpp"
#include "schemas/fact.hpp"

namespace holdfast::link {

using header_list = std::vector<std::pair<std::string, std::string>>;

// ---- consensus ----------------------------------------------------------------------------------

/// Made and read by codec_consensus.hpp. May be lost, doubled and late.
struct raft_traffic {
  std::string bytes;
  bool operator==(const raft_traffic&) const = default;
};

// ---- messages from one group's outbox to another ------------------------------------------------
// To the leader of the target; sent again until a receipt says that it was taken.

struct outbox_delivery {
  group_id source_group = 0;
  group_id target_group = 0;
  std::uint64_t sequence = 0;
  outbox_message message;
  std::uint64_t epoch = 0;  ///< of the source's last backup cut: the target cuts before it takes it
  bool restored = false;    ///< it was on its way in the backup that the source was restored from
  bool operator==(const outbox_delivery&) const = default;
};

struct outbox_receipt {
  group_id source_group = 0;
  group_id target_group = 0;
  std::uint64_t sequence = 0;
  bool taken = false;       ///< false: not here or not now; to be sent again
  std::uint64_t epoch = 0;  ///< of the target's last backup cut
  bool operator==(const outbox_receipt&) const = default;
};

// ---- requests of clients that another node answers ----------------------------------------------
// `number` is the asking node's, once per link. When the link is lost the request has no outcome.

struct http_request {
  std::uint64_t number = 0;
  std::string target;  ///< path and query
  std::string method;
  header_list headers;
  std::string body;
  std::string principal;  ///< who asks, as the asking node has found out; empty: nobody
  bool operator==(const http_request&) const = default;
};

struct http_head {
  std::uint64_t number = 0;
  std::uint32_t status = 0;
  header_list headers;
  bool operator==(const http_head&) const = default;
};

struct http_chunk {
  std::uint64_t number = 0;
  std::string bytes;
  bool end = false;  ///< the answer is complete
  bool operator==(const http_chunk&) const = default;
};

/// From either side: nothing more will come, or is waited for. To who has not answered yet: what can
/// be said now is the answer.
struct http_cancel {
  std::uint64_t number = 0;
  bool operator==(const http_cancel&) const = default;
};

/// So many more bytes of the answer may be sent.
struct http_credit {
  std::uint64_t number = 0;
  std::uint64_t bytes = 0;
  bool operator==(const http_credit&) const = default;
};

// ---- snapshots ----------------------------------------------------------------------------------

struct snapshot_request {
  std::uint64_t snapshot_id = 0;
  group_id group = 0;
  std::string position;  ///< empty: from the beginning; else a chunk's `next_position`
  bool operator==(const snapshot_request&) const = default;
};

struct snapshot_chunk {
  std::uint64_t snapshot_id = 0;
  group_id group = 0;
  std::string position;  ///< that was asked for
  std::string bytes;
  std::string next_position;
  bool last = false;
  bool missing = false;  ///< there is no such snapshot any more
  bool operator==(const snapshot_chunk&) const = default;
};

// ---- how nodes are ------------------------------------------------------------------------------

struct group_leader {
  group_id group = 0;
  consensus::node_id node = 0;
  std::uint64_t term = 0;
  bool operator==(const group_leader&) const = default;
};

struct group_applied {
  group_id group = 0;
  std::uint64_t index = 0;
  bool operator==(const group_applied&) const = default;
};

/// A member of the cluster, as group 0 has it where this was said.
struct known_member {
  std::string name;
  std::string address;
  bool operator==(const known_member&) const = default;
};

/// A hint and for people: nothing is decided by it.
struct node_status {
  consensus::node_id node = 0;
  std::string version;                ///< of holdfast
  time_us at = 0;                     ///< the node's wall clock
  std::vector<group_leader> leaders;  ///< that the node knows of; itself where it leads
  std::vector<group_applied> applied;
  bool draining = false;
  bool cordoned = false;
  std::uint64_t definitions = 0;  ///< index of group 0 whose definitions it decides under
  /// All there are: a node that was away learns whom else to speak to before group 0 gets to it.
  std::vector<known_member> members = {};
  node_roles roles = node_roles::both;  ///< by its configuration; group 0's leader records it
  std::uint32_t feature_level = 0;      ///< the newest that it can do; 0: the first
  bool operator==(const node_status&) const = default;
};

// ---- backup -------------------------------------------------------------------------------------

/// To the leader of a group: its part of the backup is to end now. Said again until it has.
struct cut_request {
  group_id group = 0;
  std::uint64_t epoch = 0;
  bool operator==(const cut_request&) const = default;
};

}  // namespace holdfast::link

namespace holdfast {

/// Append only: see LinkHead in schemas/cluster.proto.
using link_frame =
  std::variant<link::raft_traffic, link::outbox_delivery, link::outbox_receipt, link::http_request,
               link::http_head, link::http_chunk, link::http_cancel, link::http_credit,
               link::snapshot_request, link::snapshot_chunk, link::node_status, link::cut_request>;

}  // namespace holdfast
