#pragma once
// What a data folder says of its node, and who is let in: a folder has a random name of its own that peers remember for
// ever, since a node whose disk was emptied has forgotten its votes and must not come back under its old name.

#include <map>
#include <string>
#include <string_view>

#include "cluster/member_directory.hpp"
#include "persistence/log_state.hpp"
#include "persistence/store.hpp"
#include "runtime/host/config_cluster.hpp"
#include "runtime/net/peer_link.hpp"

namespace holdfast {

/// A node that is alone must not write into the folder of a cluster's. Errors: `conflict`, of the reader.
status check_not_of_cluster(const reader& disk);

struct cluster_identity {
  std::string folder;
  std::map<std::string, std::string> told;     ///< nodes to speak to at first: name → address
  bool may_form = false;                       ///< its groups begin with `told` as members
  std::map<std::string, std::string> folders;  ///< of peers, by name
};

/// A new folder is marked. Errors: `conflict`, says what to do; `gone`: the node was removed; of the store.
result<cluster_identity> open_identity(store& disk, const cluster_config& config,
                                       const std::string& node);
/// To be put into a write: the folder of a peer that was never heard of.
void put_folder_of(std::string_view peer, const std::string& folder, write_set& out);
/// The node was removed from its cluster: the folder does not start any more.
void put_removed(write_set& out);

/// Of the node that judges.
struct admission {
  std::string node;
  unsigned partitions = 0;
  unsigned feature_level = 1;  ///< that the cluster uses
};
/// Empty: welcome. Else the reason, for an operator. `known`: null when nobody has told of it; `folder`: that it had
/// before, or empty; `is_in_a_group`: a node that is removed still takes part in a group.
net::link_verdict refusal_of(const net::link_hello& peer, const admission& at,
                             const known_node* known, const std::string& folder,
                             bool is_in_a_group);

// ---- before a node is started: what `holdfast cluster` does to its folder

/// Marks a folder as that of a node that forms a cluster with its peers; gives its random name.
std::string put_former(const cluster_config& config, const std::string& node, write_set& out);
/// All of them as voters. `nodes`: name → address.
consensus::configuration first_members(const std::map<std::string, std::string>& nodes);
/// The log of the group begins behind what its state has applied, as after a snapshot of this very state; of a state that
/// has applied nothing it begins with the members. Gives the index that the state is at: it may be a little further on.
std::uint64_t begin_log_after(group_id group, const log_state& done,
                              const consensus::configuration& members, write_set& out);

/// Marks an empty folder as that of a node that is joining; gives its name. Again for the same node: the same; one
/// that was not let in may try under another name. Errors:
/// `conflict`, of the store.
result<std::string> begin_joining(store& disk, const std::string& cluster, const std::string& node,
                                  std::uint16_t partitions);
/// The cluster knows of it: from now on the node may start.
status finish_joining(store& disk, const std::map<std::string, std::string>& members);
/// Makes a folder of a node that was alone the first member of a cluster: every group keeps its state, and has one
/// voter. All or nothing. Errors: `conflict`, `not_found`, of the store.
status make_first_member(store& disk, const std::string& cluster, const std::string& node,
                         const std::string& address);

}  // namespace holdfast
