#include "cluster/cluster_member.hpp"

#include <algorithm>
#include <random>

#include "runtime/host/log.hpp"

namespace holdfast {

namespace {

constexpr auto tick_every = std::chrono::milliseconds{10};
constexpr unsigned ticks_per_status = 40;   // 400 ms
constexpr unsigned ticks_per_spread = 100;  // 1 s
constexpr unsigned ticks_per_change = 20;   // of members
constexpr std::size_t trailing_bytes_all = 256U << 20;
constexpr std::size_t trailing_bytes_min = 1U << 20;
constexpr std::uint32_t change_ms_max = 20'000;  // then a drain gets in between

struct address {
  std::string host;
  std::uint16_t port = 0;
};
address address_of(const std::string& text) {
  const auto colon = text.rfind(':');
  address out{text.substr(0, colon),
              static_cast<std::uint16_t>(std::stoul(text.substr(colon + 1)))};
  if (out.host.size() > 2 && out.host.front() == '[')
    out.host = out.host.substr(1, out.host.size() - 2);
  return out;
}

}  // namespace

std::int64_t cluster_member::steady_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
           std::chrono::steady_clock::now().time_since_epoch())
    .count();
}

cluster_member::cluster_member(parts p) : p_(std::move(p)), self_(node_id_of(p_.node)) {}

cluster_member::~cluster_member() { stop(std::chrono::milliseconds{0}); }

status cluster_member::prepare() {
  auto identity = open_identity(*p_.disk, p_.config, p_.node);
  if (!identity)
    return identity.error();
  identity_ = std::move(*identity);
  folders_.insert(identity_.folders.begin(), identity_.folders.end());
  directory_ = std::make_unique<member_directory>(p_.node, identity_.told);
  auto known = load_cluster_state(*p_.disk);
  if (!known)
    return known.error();
  if (auto wrong = level_problem(p_.features, feature_level_of(known->settings)); !wrong.empty())
    return error{errc::conflict, "the data folder is that of a cluster's node: " + wrong};
  directory_->take(std::move(*known));
  link_ = std::make_unique<net::peer_link>(link_settings());
  snapshots_ = make_exchange();
  others_ = make_forwarder();
  log_ = std::make_unique<replicated_log>(*p_.disk, *p_.machine, *p_.listener, *this, *snapshots_,
                                          log_settings());
  return ok_status();
}

net::peer_link::options cluster_member::link_settings() const {
  net::peer_link::options out;
  const auto at = address_of(p_.config.advertise);
  out.address = at.host == "localhost" ? "127.0.0.1" : at.host;
  out.port = at.port;
  out.self = {p_.config.name,     p_.node,      identity_.folder, p_.version, p_.features.oldest,
              p_.features.newest, p_.partitions};
  if (!p_.config.ca.empty())
    out.tls = net::link_tls{p_.config.ca.string(), p_.config.cert.string(), p_.config.key.string()};
  out.frame_bytes_max = consensus::entry_bytes_max + (1U << 20);  // an entry travels in one
  out.queue_bytes_max = std::max(out.queue_bytes_max, out.frame_bytes_max + (16U << 20));
  return out;
}

std::unique_ptr<snapshot_exchange> cluster_member::make_exchange() {
  snapshot_exchange::parts moves;
  moves.disk = p_.disk;
  moves.send = [this](consensus::node_id to, const link_frame& frame) {
    return send_frame(to, frame);
  };
  moves.ended = [this](group_id group, std::uint64_t snapshot, bool fetched) {
    log_->fetched(group, snapshot, fetched);
  };
  moves.steady_ms = steady_ms;
  return std::make_unique<snapshot_exchange>(std::move(moves));
}

std::shared_ptr<request_forwarder> cluster_member::make_forwarder() {
  request_forwarder::parts forwards;
  forwards.send = [this](consensus::node_id to, const link_frame& frame) {
    return send_frame(to, frame);
  };
  forwards.reaches = [this](consensus::node_id to) {
    const auto name = directory_->name_of(to);
    return name && link_->connected(*name);
  };
  forwards.leader_of = [this](group_id group) { return log_ ? log_->leader_of(group) : 0; };
  forwards.self = self_;
  forwards.steady_ms = steady_ms;
  forwards.serve = p_.serve;
  forwards.serve_stale = [this](group_id group, net::http_request&& request,
                                std::shared_ptr<const principal> who, net::responder to) {
    p_.serve_stale(std::move(request), std::move(who), log_->leaderless_ms(group), std::move(to));
  };
  return std::make_shared<request_forwarder>(std::move(forwards));
}

replicated_log_options cluster_member::log_settings() const {
  replicated_log_options out;
  auto& core = out.host.core;
  core.self = self_;
  core.election_timeout_ms = static_cast<std::uint32_t>(p_.config.election_timeout_ms);
  core.heartbeat_ms = std::max<std::uint32_t>(20, core.election_timeout_ms / 8);
  core.seed = std::random_device{}();
  out.host.change_ms_max = change_ms_max;
  out.host.lease_ms = core.election_timeout_ms - core.election_timeout_ms / 10;
  // The log that is kept for members that lag is in memory too.
  out.host.trailing_entries = 20'000;
  out.host.trailing_bytes =
    std::max<std::size_t>(trailing_bytes_min, trailing_bytes_all / (p_.partitions + 1U));
  out.tick_ms = std::clamp<std::uint32_t>(core.heartbeat_ms / 4, 5, 25);
  return out;
}

status cluster_member::start(backend& commands) {
  others_->take_commands(commands);
  consensus::configuration first;  // none: a leader will add this node
  if (identity_.may_form)
    first = first_members(identity_.told);
  std::map<group_id, consensus::configuration> groups;
  for (std::uint32_t group = 0; group <= p_.partitions; ++group)
    groups.emplace(static_cast<group_id>(group), first);
  net::peer_link::events on;
  on.admit = [this](const net::link_hello& peer) { return admit(peer); };
  on.up = [this](const net::link_hello& peer) { peer_up(peer); };
  on.down = [this](std::string_view node, std::string_view why) {
    if (!leaving_)
      log::warn("peer-down", {{"node", std::string{node}}, {"why", std::string{why}}});
    heard_.forget(node);
    others_->peer_down(node_id_of(node));
  };
  on.frame = [this](std::string_view node, net::link_frame&& frame) {
    received(node, std::move(frame));
  };
  on.refused = [](std::string_view node, std::string_view why) {
    log::error("peer-refused", {{"node", std::string{node}}, {"why", std::string{why}}});
  };
  on.removed = [this](std::string_view /*node*/) { end_removed(); };
  if (auto started = log_->start(groups); !started)
    return started;
  if (const auto listening = link_->start(std::move(on)); !listening)
    return error{listening.failure == net::link_failure::tls ? errc::schema : errc::unavailable,
                 "the node link at " + p_.config.advertise + ": " + listening.detail};
  choose_peers();
  ticks_ = std::make_unique<ticker>(tick_every, [this] { tick(); });
  return ok_status();
}

void cluster_member::stop(std::chrono::milliseconds limit) {
  leaving_ = true;
  const auto until = std::chrono::steady_clock::now() + limit;
  while (log_ && ticks_ && std::chrono::steady_clock::now() < until && lead_elsewhere() != 0)
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
  ticks_.reset();
  if (others_)
    others_->stop();
  if (log_)
    log_->stop();
  if (link_)
    link_->stop();
  if (snapshots_)  // the log installs what they hold, the link asks them for more
    snapshots_->stop();
}

void cluster_member::tick() {
  if (p_.draining())
    others_->drain();
  others_->tick();
  snapshots_->tick();
  definitions_.tick(steady_ms(), heard_);
  ++ticks_done_;
  if (ticks_done_ % ticks_per_change == 0)
    choose_peers();
  if (ticks_done_ % ticks_per_status == 0) {
    tell_status();
    log_members();
  }
  if (leaving_)
    return;
  if (ticks_done_ % ticks_per_change == 0)
    change_members();
  if (ticks_done_ % ticks_per_spread == 0) {
    judge_clock();
    record_settings();
  }
  if (cordoned_ || clock_is_off_ || is_leaving() || !owns_partitions(p_.roles)) {
    lead_elsewhere();
  } else if (ticks_done_ % ticks_per_spread == 0) {
    spread_leaders();
  }
}

}  // namespace holdfast
