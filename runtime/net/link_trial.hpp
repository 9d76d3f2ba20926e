#pragma once

#include <map>
#include <string>

#include "runtime/net/peer_link.hpp"

namespace holdfast::net {

/// What came of asking one node.
struct link_trial {
  enum class outcome : uint8_t {
    believed,     ///< both certificates are good, and name who they should; the cluster is the same
    unreachable,  ///< nobody listens there, or not in time
    refused       ///< one of the two does not believe the other
  };
  outcome result = outcome::unreachable;
  std::string why;  ///< for an operator, with what to do; empty when believed
};

/// Asks each of `peers` (node to `host:port`) whether it would believe a link of `opts.self`, which need not be a member
/// yet. All at once; blocks for at most `opts.connect` and `opts.handshake` together. Of the rest of `opts` only `tls`
/// counts; when its files are no good, every node has that as its refusal.
std::map<std::string, link_trial> try_links(const peer_link::options& opts,
                                            const std::map<std::string, std::string>& peers);

}  // namespace holdfast::net
