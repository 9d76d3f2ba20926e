#pragma once
// The nodes that this one knows: what group 0 says, and until it says so, what the node was told when it joined, what
// its configuration names, and what its peers have said.

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/membership.hpp"
#include "schemas/link.hpp"

namespace holdfast {

/// Of a node's name; the same everywhere and for ever. Never 0.
consensus::node_id node_id_of(std::string_view name);

struct known_node {
  std::string name;
  std::string address;
  std::string folder;  ///< empty: not told
  bool removed = false;
  bool certain = false;  ///< group 0 says so
  node_roles roles = node_roles::both;
  bool operator==(const known_node&) const = default;
};
using node_table = std::map<consensus::node_id, known_node>;

/// Thread-safe. A table is a copy of some moment.
class member_directory {
public:
  /// `told`: name → address, of all nodes that the configuration or the joining has named.
  member_directory(std::string self, std::map<std::string, std::string> told);

  std::shared_ptr<const node_table> get() const;
  std::optional<known_node> find(consensus::node_id id) const;
  std::optional<std::string> name_of(consensus::node_id id) const;

  /// What group 0 has by now. Counts before everything else. True: something is new.
  bool take(cluster_state stated);
  /// What a peer has of group 0: this node may not have got to it yet. True: something is new.
  bool hear(const std::vector<link::known_member>& said);

  /// What group 0 has, as last taken.
  cluster_state stated() const;
  cluster_settings settings() const;  ///< of it
  /// The members in group 0 that are not removed.
  std::vector<link::known_member> certain() const;
  const std::map<std::string, std::string>& told() const noexcept { return told_; }

private:
  bool rebuild();  // with the lock held

  const std::string self_;
  const std::map<std::string, std::string> told_;
  mutable std::mutex mutex_;
  cluster_state stated_;
  std::map<std::string, std::string> heard_;
  std::shared_ptr<const node_table> table_;
};

}  // namespace holdfast
