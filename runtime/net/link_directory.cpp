#include "runtime/net/link_directory.hpp"

#include <mutex>

namespace holdfast::net {

bool link_directory::send(std::string_view node, std::string&& frame, size_t frame_bytes_max) {
  std::shared_lock lock{mutex_};
  const auto found = entries_.find(node);
  if (found == entries_.end())
    return false;
  const auto& [counters, outbox, unread] = found->second;
  if (outbox && frame.size() <= frame_bytes_max && outbox->push(std::move(frame)))
    return true;
  counters->refused_sends.fetch_add(1, std::memory_order_relaxed);
  return false;
}

bool link_directory::connected(std::string_view node) const {
  std::shared_lock lock{mutex_};
  const auto found = entries_.find(node);
  return found != entries_.end() && found->second.outbox;
}

std::map<std::string, link_peer_stats> link_directory::stats() const {
  std::map<std::string, link_peer_stats> out;
  std::shared_lock lock{mutex_};
  for (const auto& [node, e] : entries_) {
    auto& s = out[node];
    s.connected = e.outbox != nullptr;
    s.bytes_in = e.counters->bytes_in;
    s.bytes_out = e.counters->bytes_out;
    s.frames_in = e.counters->frames_in;
    s.frames_out = e.counters->frames_out;
    s.writes = e.counters->writes;
    s.connects = e.counters->connects;
    s.refused_sends = e.counters->refused_sends;
    s.queued_bytes = e.outbox ? e.outbox->queued() : 0;
    s.unread_bytes = e.unread ? e.unread->held() : 0;
    s.last_failure = e.counters->last_failure();
  }
  return out;
}

std::shared_ptr<link_peer_counters> link_directory::counters(const std::string& node) {
  std::lock_guard lock{mutex_};
  return entries_[node].counters;
}

void link_directory::open(const std::string& node, std::shared_ptr<link_outbox> outbox,
                          std::shared_ptr<link_unread> unread) {
  std::lock_guard lock{mutex_};
  auto& e = entries_[node];
  e.outbox = std::move(outbox);
  e.unread = std::move(unread);
}

void link_directory::close(const std::string& node) {
  std::lock_guard lock{mutex_};
  if (const auto found = entries_.find(node); found != entries_.end())
    found->second.outbox = nullptr;  // what is unread still counts, until the next connection
}

void link_directory::forget(const std::string& node) {
  std::lock_guard lock{mutex_};
  entries_.erase(node);
}

void link_directory::close_all() {
  std::lock_guard lock{mutex_};
  for (auto& [node, e] : entries_)
    e.outbox = nullptr;
}

}  // namespace holdfast::net
