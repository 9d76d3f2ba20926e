#pragma once

#include <functional>
#include <map>
#include <memory>
#include <shared_mutex>
#include <string>
#include <string_view>

#include "runtime/net/link_outbox.hpp"
#include "runtime/net/link_peer_counters.hpp"
#include "runtime/net/peer_link.hpp"

namespace holdfast::net {

/// What any thread sees of the connections: whom frames can be sent to, and the counters.
class link_directory {
public:
  bool send(std::string_view node, std::string&& frame, size_t frame_bytes_max);
  bool connected(std::string_view node) const;
  std::map<std::string, link_peer_stats> stats() const;

  // For the io thread.

  /// Of a peer that is set or connected; kept until `forget`.
  std::shared_ptr<link_peer_counters> counters(const std::string& node);
  void open(const std::string& node, std::shared_ptr<link_outbox> outbox,
            std::shared_ptr<link_unread> unread);
  void close(const std::string& node);
  void forget(const std::string& node);
  void close_all();

private:
  struct entry {
    std::shared_ptr<link_peer_counters> counters = std::make_shared<link_peer_counters>();
    std::shared_ptr<link_outbox> outbox;  // none: not connected
    std::shared_ptr<link_unread> unread;
  };

  mutable std::shared_mutex mutex_;
  std::map<std::string, entry, std::less<>> entries_;
};

}  // namespace holdfast::net
