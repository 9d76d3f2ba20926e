#pragma once
// `cluster` of a node's configuration.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "schemas/ids.hpp"

namespace holdfast {

struct cluster_config {
  std::string name = "holdfast";
  /// For a data folder that is made; then fixed. Absent: as a backup has, else `partitions_default`.
  std::optional<std::uint16_t> partitions;
  std::string advertise;  ///< `host:port` of this node's link; empty: no cluster, the node is alone
  std::map<std::string, std::string> peers;  ///< node → `host:port`; this node is one of them
  std::uint32_t replication = 3;  ///< voters of a partition; the other nodes are standbys
  std::int64_t election_timeout_ms = 1'000;
  std::filesystem::path ca;  ///< PEM; empty: every address is loopback and the link is plain
  std::filesystem::path cert;
  std::filesystem::path key;
  bool is_alone() const noexcept { return advertise.empty(); }
  bool operator==(const cluster_config&) const = default;
};

/// `HOST:PORT`, `[::1]:PORT`
bool is_link_address(std::string_view text);
/// Its host, without brackets.
std::string_view host_of_link(std::string_view address);

class map_reader;

/// A part of config.cpp, which alone calls it.
void read_cluster(map_reader in, const std::filesystem::path& base, cluster_config& out);
/// What can only be judged with the node's name. Gives the problem, or nothing.
std::string check_cluster(const cluster_config& config, const std::string& node);

}  // namespace holdfast
