// What goes over a member's link: whom it lets in, what it sends and hears, and what it says of itself.

#include "cluster/cluster_member.hpp"
#include "runtime/host/log.hpp"
#include "schemas/codec_link.hpp"

namespace holdfast {

namespace {

constexpr std::size_t raft_frame_bytes_max = 8U << 20;

}  // namespace

// ---- who is let in ---------------------------------------------------------------------------------------------------

net::link_verdict cluster_member::admit(const net::link_hello& peer) {
  const auto id = node_id_of(peer.node);
  const auto known = directory_->find(id);
  std::string folder;
  {
    const std::lock_guard lock{mutex_};
    if (const auto found = folders_.find(peer.node); found != folders_.end())
      folder = found->second;
  }
  return refusal_of(peer, {p_.node, p_.partitions, feature_level_of(directory_->settings())},
                    known ? &*known : nullptr, folder, is_in_a_group(log_->standings(), id));
}

void cluster_member::reload_certificates() {
  if (p_.config.ca.empty())
    return;
  if (const auto reloaded = link_->reload_tls(); !reloaded)
    return log::error("link-certificate-not-reloaded", {{"why", reloaded.detail}});
  log::info("link-certificate-reloaded", {{"file", p_.config.cert.string()}});
}

void cluster_member::peer_up(const net::link_hello& peer) {
  log::info("peer-up", {{"node", peer.node}, {"version", peer.version}});
  {
    const std::lock_guard lock{mutex_};
    if (!folders_.emplace(peer.node, peer.folder).second)
      return;
  }
  // On the log's thread, as every write.
  log_->post([this, name = peer.node, folder = peer.folder](consensus::raft_host&, std::uint64_t) {
    write_set mark;
    put_folder_of(name, folder, mark);
    if (auto written = p_.disk->write(mark, true); !written)
      end_process(written.error());
  });
}

/// The folder is marked first, so that it never starts again.
void cluster_member::end_removed() {
  if (removed_.exchange(true))
    return;
  log::error("node-removed", {{"node", p_.node}, {"why", removed_notice(p_.node)}});
  log_->post([this](consensus::raft_host&, std::uint64_t) {
    write_set mark;
    put_removed(mark);
    if (auto written = p_.disk->write(mark, true); !written)
      end_process(written.error());
    p_.removed();
  });
}

// ---- frames ----------------------------------------------------------------------------------------------------------

void cluster_member::send(consensus::node_id to, std::vector<codec::group_message> messages) {
  const auto name = directory_->name_of(to);
  if (!name || !link_->connected(*name))
    return;  // what a dead node misses is not encoded, heartbeat after heartbeat
  for (std::span<const codec::group_message> left{messages}; !left.empty();) {
    const auto count = codec::count_for_raft_frame(left, raft_frame_bytes_max);
    link_->send(*name, codec::encode_raft_link_frame(left.first(count)));
    left = left.subspan(count);
  }
}

bool cluster_member::send_frame(consensus::node_id to, const link_frame& frame) {
  const auto name = directory_->name_of(to);
  return name && link_->send(*name, codec::encode(frame));
}

void cluster_member::send(link::outbox_delivery message) {
  if (const auto leader = log_->leader_of(message.target_group); leader != 0 && leader != self_)
    send_frame(leader, std::move(message));
}

void cluster_member::send(const link::outbox_receipt& receipt) {
  if (const auto leader = log_->leader_of(receipt.source_group); leader != 0 && leader != self_)
    send_frame(leader, receipt);
}

void cluster_member::send(const link::cut_request& request) {
  if (const auto leader = log_->leader_of(request.group); leader != 0 && leader != self_)
    send_frame(leader, request);
}

void cluster_member::received(std::string_view node, net::link_frame&& frame) {
  auto decoded = codec::decode_link_frame(frame.bytes);
  if (!decoded)
    return log::error("frame-corrupt", {{"node", std::string{node}}});
  const auto from = node_id_of(node);
  std::visit(
    [&]<class T>(T& what) {
      if constexpr (std::is_same_v<T, link::raft_traffic>) {
        if (auto messages = codec::decode_raft_frame(what.bytes))
          log_->receive(from, std::move(*messages), std::move(frame.held));
        else
          log::error("frame-corrupt", {{"node", std::string{node}}});
      } else if constexpr (std::is_same_v<T, link::outbox_delivery>) {
        p_.deliver(std::move(what));
      } else if constexpr (std::is_same_v<T, link::outbox_receipt>) {
        p_.receipt(what);
      } else if constexpr (std::is_same_v<T, link::cut_request>) {
        p_.cut(what);
      } else if constexpr (std::is_same_v<T, link::snapshot_request> ||
                           std::is_same_v<T, link::snapshot_chunk>) {
        snapshots_->received(from, std::move(what));
      } else if constexpr (std::is_same_v<T, link::node_status>) {
        take_status(node, std::move(what));
      } else if constexpr (std::is_same_v<T, link::http_request> ||
                           std::is_same_v<T, link::http_head> ||
                           std::is_same_v<T, link::http_chunk> ||
                           std::is_same_v<T, link::http_cancel>) {
        others_->received(from, std::move(what));
      }
    },
    *decoded);
}

// ---- what it says of itself ------------------------------------------------------------------------------------------

void cluster_member::tell_status() {
  link::node_status now;
  now.node = self_;
  now.version = p_.version;
  now.at = p_.wall_now();
  now.draining = leaving_ || p_.draining();
  now.definitions = definitions_.read_up_to(log_->applied(catalog_group));
  now.cordoned = cordoned_;
  now.roles = p_.roles;
  now.feature_level = p_.features.newest;
  for (const auto& s : log_->standings()) {
    if (s.term != 0)
      now.leaders.push_back({s.group, self_, s.term});
    now.applied.push_back({s.group, s.applied});
  }
  now.members = directory_->certain();
  for (const auto& [id, node] : *directory_->get())
    if (id != self_)
      send_frame(id, now);
}

void cluster_member::take_status(std::string_view node, link::node_status&& said) {
  directory_->hear(said.members);
  heard_.take(node, std::move(said), steady_ms(), p_.wall_now());
}

void cluster_member::definitions_read(std::uint64_t index) {
  definitions_.read(index);
  tell_status();  // somebody may wait for this
}

void cluster_member::when_defined(std::function<void()> then) {
  definitions_.wait(log_->applied(catalog_group), steady_ms(), std::move(then));
}

}  // namespace holdfast
