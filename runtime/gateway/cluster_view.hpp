#pragma once
// What a node knows of its cluster, in plain values; a copy of some moment.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/ids.hpp"
#include "schemas/node_roles.hpp"

namespace holdfast {

struct cluster_node_view {
  std::string id;
  std::string address;  ///< of its link
  std::string state;    ///< up, down, draining (it stops), cordoned
  std::string version;  ///< empty: not known
  std::uint32_t leaders = 0;
  std::uint32_t replicas = 0;         ///< partitions of which it has a copy
  std::string membership = "member";  ///< joining (not yet in every partition), member, removing
  node_roles roles = node_roles::both;
};
struct replica_view {
  std::string node;
  std::uint64_t applied = 0;  ///< index
  std::uint64_t lag = 0;      ///< entries behind the newest that is known here
  bool votes = true;          ///< false: a standby, or one that is catching up
};
struct group_view {
  group_id id = 0;
  std::string leader;      ///< empty: none is known
  std::uint64_t term = 0;  ///< 0: its leader has not told it yet
  std::vector<replica_view> replicas;
  bool settled = true;  ///< everybody has the copy and the vote in it that they are to have
};
struct cluster_view {
  std::string name;
  unsigned feature_level = 1;  ///< that all nodes use
  std::vector<cluster_node_view> nodes;
  std::vector<group_view> partitions;  ///< group 0, of the cluster itself, first
};

enum class absence : std::uint8_t {
  stopped,  ///< its vote counts on
  removed,
};
/// Of every partition, more than half of the voters are there when that node is not. One that is removed is replaced by
/// a standby where there is one.
bool can_decide_without(const cluster_view& view, std::string_view node, absence what);

}  // namespace holdfast
