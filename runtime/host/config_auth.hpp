#pragma once
// `tls` and `auth` of a node's configuration, and reading the keys again while the node runs.

#include <filesystem>
#include <string>
#include <vector>

#include "runtime/host/api_keys.hpp"

namespace holdfast {

struct tls_config {
  std::filesystem::path cert;  ///< PEM, the chain; empty: no TLS of our own
  std::filesystem::path key;   ///< PEM
  bool by_proxy = false;       ///< a proxy in front ends it
  bool is_set() const noexcept { return by_proxy || !cert.empty(); }
  bool operator==(const tls_config&) const = default;
};

struct auth_config {
  bool on = false;             ///< false: whoever reaches the node may do everything
  std::filesystem::path file;  ///< where the keys are: a keys file, or the node's configuration
  bool inline_keys = false;    ///< `file` is the node's configuration, the keys are in it
  std::vector<api_key> keys;   ///< as of the start
  bool operator==(const auth_config&) const = default;
};

class map_reader;

// Parts of config.cpp, which alone calls them. `file`: the node's configuration.
void read_tls(map_reader in, const std::filesystem::path& base, tls_config& out);
void read_auth(map_reader in, const std::filesystem::path& base, const std::filesystem::path& file,
               auth_config& out);

/// Reads them anew. Errors: as `read_key_file`; nothing of what was read before changes.
result<std::vector<api_key>> load_keys(const auth_config& from);

}  // namespace holdfast
