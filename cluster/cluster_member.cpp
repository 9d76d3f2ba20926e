#include "cluster/cluster_member.hpp"

#include <algorithm>
#include <random>

#include "persistence/keys.hpp"
#include "persistence/log_state.hpp"
#include "runtime/host/log.hpp"
#include "schemas/codec_link.hpp"

namespace holdfast {

namespace {

constexpr std::size_t raft_frame_bytes_max = 8U << 20;
constexpr auto tick_every = std::chrono::milliseconds{50};
constexpr unsigned ticks_per_status = 8;       // 400 ms
constexpr unsigned ticks_per_spread = 20;      // 1 s
constexpr unsigned ticks_per_giving = 4;       // 200 ms, while cordoned
constexpr std::int64_t status_ms_max = 2'500;  // then what a peer said is old
constexpr std::int64_t define_ms_max = 2'000;
constexpr std::uint64_t lag_to_lead_max = 1'000;
constexpr std::size_t trailing_bytes_all = 256U << 20;
constexpr std::size_t trailing_bytes_min = 1U << 20;
constexpr time_us clock_off_us_max = 1'000'000;
constexpr unsigned clock_off_checks_max = 3;  // one each second
constexpr std::string_view folder_key = "folder";
constexpr std::string_view cluster_key = "cluster";
constexpr std::string_view peers_key = "peers";

std::int64_t steady_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
           std::chrono::steady_clock::now().time_since_epoch())
    .count();
}

std::string random_id() {
  std::random_device chance;
  std::string out;
  for (int i = 0; i < 4; ++i) {
    static constexpr char digits[] = "0123456789abcdef";
    auto bits = chance();
    for (int digit = 0; digit < 8; ++digit, bits >>= 4)
      out += digits[bits & 15];
  }
  return out;
}

std::string folder_key_of(std::string_view peer) { return "folder-of/" + std::string{peer}; }

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

status check_not_of_cluster(const reader& disk) {
  const auto cluster = disk.get(family::meta, keys::node(cluster_key));
  if (!cluster)
    return cluster.error();
  if (*cluster)
    return error{errc::conflict, "this data folder belongs to a node of the cluster `" + **cluster +
                                   "`; start it with `cluster.peers`, as before"};
  return ok_status();
}

consensus::node_id node_id_of(std::string_view name) {
  return std::max<std::uint64_t>(1, hash_of(agent_name{"node", std::string{name}}));
}

cluster_member::cluster_member(parts p) : p_(std::move(p)), self_(node_id_of(p_.node)) {
  for (const auto& [name, at] : p_.config.peers)
    names_.emplace(node_id_of(name), name);
}

cluster_member::~cluster_member() { stop(std::chrono::milliseconds{0}); }

const std::string* cluster_member::name_of(consensus::node_id id) const {
  const auto found = names_.find(id);
  return found == names_.end() ? nullptr : &found->second;
}

consensus::configuration cluster_member::members() const {
  consensus::configuration out;
  for (const auto& [id, name] : names_)
    out.members.push_back({id, p_.config.peers.at(name), consensus::role::voter});
  return out;
}

// ---- who is who ------------------------------------------------------------------------------------------------------

/// A data folder has a name of its own, and remembers that of every peer's: a node whose disk was emptied has forgotten
/// its votes, and must not come back under its old name.
status cluster_member::open_identity() {
  const auto cluster = p_.disk->get(family::meta, keys::node(cluster_key));
  if (!cluster)
    return cluster.error();
  if (*cluster && **cluster != p_.config.name)
    return error{errc::conflict, "this data folder belongs to the cluster `" + **cluster +
                                   "`, not to `" + p_.config.name +
                                   "`; see `cluster.name` and `data` in the configuration"};
  const auto known = p_.disk->get(family::meta, keys::node(folder_key));
  if (!known)
    return known.error();
  std::string peers;
  for (const auto& [name, at] : p_.config.peers)
    peers += name + ' ';
  if (*known) {
    folder_ = **known;
    const auto formed = p_.disk->get(family::meta, keys::node(peers_key));
    if (!formed)
      return formed.error();
    if (*formed && **formed != peers)
      return error{errc::not_available,
                   "`cluster.peers` names other nodes than those that formed the cluster ( " +
                     **formed + "): adding and removing nodes is not available in this release"};
  } else {
    const auto alone = read_log_state(*p_.disk, catalog_group);
    if (!alone)
      return alone.error();
    if (alone->term != 0)
      return error{errc::not_available,
                   "this data folder was made by a node alone; making it the first member of a "
                   "cluster is not available in this release: start with an empty folder"};
    folder_ = random_id();
    write_set mark;
    mark.put(family::meta, keys::node(cluster_key), p_.config.name);
    mark.put(family::meta, keys::node(peers_key), peers);
    mark.put(family::meta, keys::node(folder_key), folder_);
    if (auto written = p_.disk->write(mark, true); !written)
      return written;
  }
  for (const auto& [id, name] : names_) {
    auto folder = p_.disk->get(family::meta, keys::node(folder_key_of(name)));
    if (!folder)
      return folder.error();
    if (*folder)
      folders_.emplace(name, **folder);
  }
  return ok_status();
}

std::string cluster_member::admit(const net::link_hello& peer) {
  if (peer.feature_level != feature_level)
    return "it has feature level " + std::to_string(peer.feature_level) + ", " + p_.node + " has " +
           std::to_string(feature_level) + "; run the same release on both";
  if (peer.partitions != p_.partitions)
    return "it has " + std::to_string(peer.partitions) + " partitions, " + p_.node + " has " +
           std::to_string(p_.partitions) +
           "; write the same `cluster.partitions` and start it with "
           "an empty data folder";
  if (!p_.config.peers.contains(peer.node))
    return "`" + peer.node + "` is not among `cluster.peers` of " + p_.node;
  const std::lock_guard lock{mutex_};
  const auto known = folders_.find(peer.node);
  if (known != folders_.end() && known->second != peer.folder)
    return "`" + peer.node +
           "` was a member with another data folder, and has forgotten what it promised; put its "
           "folder back, or add the node under a new name";
  return {};
}

// ---- start and stop --------------------------------------------------------------------------------------------------

status cluster_member::prepare() {
  if (auto opened = open_identity(); !opened)
    return opened;
  net::peer_link::options options;
  const auto at = address_of(p_.config.advertise);
  options.address = at.host == "localhost" ? "127.0.0.1" : at.host;
  options.port = at.port;
  options.self = {p_.config.name, p_.node, folder_, p_.version, feature_level, p_.partitions};
  if (!p_.config.ca.empty())
    options.tls =
      net::link_tls{p_.config.ca.string(), p_.config.cert.string(), p_.config.key.string()};
  link_ = std::make_unique<net::peer_link>(std::move(options));
  request_forwarder::parts forwards;
  forwards.send = [this](consensus::node_id to, const link_frame& frame) {
    return send_frame(to, frame);
  };
  forwards.leader_of = [this](group_id group) { return log_ ? log_->leader_of(group) : 0; };
  forwards.self = self_;
  forwards.steady_ms = steady_ms;
  forwards.serve = p_.serve;
  forwards.serve_stale = [this](group_id group, net::http_request&& request,
                                std::shared_ptr<const principal> who, net::responder to) {
    p_.serve_stale(std::move(request), std::move(who), log_->leaderless_ms(group), std::move(to));
  };

  snapshot_exchange::parts moves;
  moves.disk = p_.disk;
  moves.send = forwards.send;
  moves.ended = [this](group_id group, std::uint64_t snapshot, bool fetched) {
    log_->fetched(group, snapshot, fetched);
  };
  moves.steady_ms = steady_ms;
  snapshots_ = std::make_unique<snapshot_exchange>(std::move(moves));
  others_ = std::make_shared<request_forwarder>(std::move(forwards));

  replicated_log_options of_log;
  auto& core = of_log.host.core;
  core.self = self_;
  core.election_timeout_ms = static_cast<std::uint32_t>(p_.config.election_timeout_ms);
  core.heartbeat_ms = std::max<std::uint32_t>(20, core.election_timeout_ms / 8);
  core.seed = std::random_device{}();
  of_log.host.lease_ms = core.election_timeout_ms - core.election_timeout_ms / 10;
  // The log that is kept for members that lag is in memory too.
  of_log.host.trailing_entries = 20'000;
  of_log.host.trailing_bytes =
    std::max<std::size_t>(trailing_bytes_min, trailing_bytes_all / (p_.partitions + 1U));
  of_log.tick_ms = std::clamp<std::uint32_t>(core.heartbeat_ms / 4, 5, 25);
  log_ = std::make_unique<replicated_log>(*p_.disk, *p_.machine, *p_.listener, *this, *snapshots_,
                                          std::move(of_log));
  return ok_status();
}

status cluster_member::start(backend& commands) {
  others_->take_commands(commands);
  std::map<group_id, consensus::configuration> groups;
  for (std::uint32_t group = 0; group <= p_.partitions; ++group)
    groups.emplace(static_cast<group_id>(group), members());
  net::peer_link::events on;
  on.admit = [this](const net::link_hello& peer) { return admit(peer); };
  on.up = [this](const net::link_hello& peer) {
    log::info("peer-up", {{"node", peer.node}, {"version", peer.version}});
    const std::lock_guard lock{mutex_};
    if (!folders_.emplace(peer.node, peer.folder).second)
      return;
    // On the log's thread, as every write.
    log_->post(
      [this, name = peer.node, folder = peer.folder](consensus::raft_host&, std::uint64_t) {
        write_set mark;
        mark.put(family::meta, keys::node(folder_key_of(name)), folder);
        if (auto written = p_.disk->write(mark, true); !written)
          end_process(written.error());
      });
  };
  on.down = [this](std::string_view node, std::string_view why) {
    if (!leaving_)
      log::warn("peer-down", {{"node", std::string{node}}, {"why", std::string{why}}});
    {
      const std::lock_guard lock{mutex_};
      heard_.erase(std::string{node});
    }
    others_->peer_down(node_id_of(node));
  };
  on.frame = [this](std::string_view node, net::link_frame&& frame) {
    received(node, std::move(frame));
  };
  on.refused = [](std::string_view node, std::string_view why) {
    log::error("peer-refused", {{"node", std::string{node}}, {"why", std::string{why}}});
  };
  if (auto started = log_->start(groups); !started)
    return started;
  if (const auto listening = link_->start(std::move(on)); !listening)
    return error{listening.failure == net::link_failure::tls ? errc::schema : errc::unavailable,
                 "the node link at " + p_.config.advertise + ": " + listening.detail};
  link_->set_peers(p_.config.peers);
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
  if (snapshots_)
    snapshots_->stop();
  if (log_)
    log_->stop();
  if (link_)
    link_->stop();
}

// ---- frames ----------------------------------------------------------------------------------------------------------

void cluster_member::send(consensus::node_id to, std::vector<codec::group_message> messages) {
  const auto* name = name_of(to);
  if (!name || !link_->connected(*name))
    return;  // what a dead node misses is not encoded, heartbeat after heartbeat
  for (std::span<const codec::group_message> left{messages}; !left.empty();) {
    const auto count = codec::count_for_raft_frame(left, raft_frame_bytes_max);
    link_->send(*name, codec::encode_raft_link_frame(left.first(count)));
    left = left.subspan(count);
  }
}

bool cluster_member::send_frame(consensus::node_id to, const link_frame& frame) {
  const auto* name = name_of(to);
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
      } else if constexpr (std::is_same_v<T, link::snapshot_request> ||
                           std::is_same_v<T, link::snapshot_chunk>) {
        snapshots_->received(from, std::move(what));
      } else if constexpr (std::is_same_v<T, link::node_status>) {
        const std::lock_guard lock{mutex_};
        const auto ahead = what.at - p_.wall_now();
        for (const auto& led : what.leaders)
          terms_[led.group] = std::max(terms_[led.group], led.term);
        heard_[std::string{node}] = {std::move(what), steady_ms(), ahead};
      } else if constexpr (std::is_same_v<T, link::http_request> ||
                           std::is_same_v<T, link::http_head> ||
                           std::is_same_v<T, link::http_chunk> ||
                           std::is_same_v<T, link::http_cancel>) {
        others_->received(from, std::move(what));
      }
    },
    *decoded);
}

// ---- now and then ----------------------------------------------------------------------------------------------------

void cluster_member::tick() {
  others_->tick();
  snapshots_->tick();
  tell_defined();
  ++ticks_done_;
  if (ticks_done_ % ticks_per_status == 0)
    tell_status();
  if (leaving_)
    return;
  if (ticks_done_ % ticks_per_spread == 0)
    judge_clock();
  if (cordoned_ || clock_is_off_) {
    if (ticks_done_ % ticks_per_giving == 0)
      lead_elsewhere();
  } else if (ticks_done_ % ticks_per_spread == 0) {
    spread_leaders();
  }
}

void cluster_member::tell_status() {
  link::node_status now;
  now.node = self_;
  now.version = p_.version;
  now.at = p_.wall_now();
  now.draining = leaving_ || p_.draining();
  now.definitions = definitions_at_;
  now.cordoned = cordoned_;
  for (const auto& s : log_->standings()) {
    if (s.term != 0)
      now.leaders.push_back({s.group, self_, s.term});
    now.applied.push_back({s.group, s.applied});
  }
  for (const auto& [id, name] : names_)
    if (id != self_)
      send_frame(id, now);
}

void cluster_member::definitions_read(std::uint64_t index) {
  definitions_at_ = index;
  tell_status();  // somebody may wait for this
}

void cluster_member::when_defined(std::function<void()> then) {
  const std::lock_guard lock{mutex_};
  defining_.push_back({log_->applied(catalog_group), steady_ms() + define_ms_max, std::move(then)});
}

void cluster_member::tell_defined() {
  std::vector<std::function<void()>> told;
  {
    const std::lock_guard lock{mutex_};
    const auto now = steady_ms();
    const auto has = [&](std::uint64_t index) {
      return std::all_of(heard_.begin(), heard_.end(), [&](const auto& peer) {
        return now - peer.second.at_ms > status_ms_max || peer.second.status.definitions >= index;
      });
    };
    std::erase_if(defining_, [&](auto& one) {
      if (now < one.deadline_ms && !has(one.index))
        return false;
      told.push_back(std::move(one.then));
      return true;
    });
  }
  for (const auto& then : told)
    then();
}

/// It is up, has caught up, and wants to lead.
bool cluster_member::can_lead(const std::string& peer, const group_standing& what) const {
  const std::lock_guard lock{mutex_};
  const auto found = heard_.find(peer);
  if (found == heard_.end() || steady_ms() - found->second.at_ms > status_ms_max)
    return false;
  const auto& told = found->second.status;
  const auto theirs = std::find_if(told.applied.begin(), told.applied.end(),
                                   [&](const auto& one) { return one.group == what.group; });
  return !told.draining && !told.cordoned && theirs != told.applied.end() &&
         theirs->index + lag_to_lead_max >= what.applied;
}

void cluster_member::spread_leaders() {
  const auto give = [this](group_id group, consensus::node_id to) {
    log_->post([group, to](consensus::raft_host& host, std::uint64_t at) {
      (void)host.transfer(at, group, to);  // refused: not the leader any more, or not now
    });
  };
  std::size_t led = 0;
  std::vector<group_standing> of_others;  // led here in place of one who cannot
  for (auto& s : log_->standings()) {
    if (s.term == 0)
      continue;
    ++led;
    auto best = names_.begin();
    std::advance(best, s.group % names_.size());
    if (best->first == self_)
      continue;
    if (can_lead(best->second, s))
      give(s.group, best->first);
    else
      of_others.push_back(std::move(s));
  }
  // One at a time, and only to who leads less even then: so that it comes to rest.
  for (const auto& s : of_others)
    for (const auto& [id, name] : names_)
      if (id != self_ && can_lead(name, s) && led_by(name) + 1 < led)
        return give(s.group, id);
}

/// Off for some seconds: what a node hears after it was stopped is old, and says nothing of clocks.
void cluster_member::judge_clock() {
  const auto off = clock_off_us();
  clock_off_checks_ = off > clock_off_us_max ? clock_off_checks_ + 1 : 0;
  const bool is_off = clock_off_checks_ >= clock_off_checks_max;
  if (is_off == clock_is_off_)
    return;
  clock_is_off_ = is_off;
  if (is_off)
    log::error("clock-off", {{"off_us", std::to_string(off)},
                             {"why",
                              "this clock is not that of most nodes: it leads nothing until "
                              "it is right; check NTP"}});
  else
    log::info("clock-right", {});
}

/// How far this clock is from the median of all that are heard; 0 with fewer than three.
time_us cluster_member::clock_off_us() const {
  std::vector<time_us> ahead{0};
  const std::lock_guard lock{mutex_};
  for (const auto& [name, peer] : heard_)
    ahead.push_back(peer.ahead_us);
  if (ahead.size() < 3)
    return 0;
  const auto middle = ahead.begin() + static_cast<std::ptrdiff_t>(ahead.size() / 2);
  std::nth_element(ahead.begin(), middle, ahead.end());
  return std::abs(*middle);
}

std::size_t cluster_member::led_by(const std::string& peer) const {
  const std::lock_guard lock{mutex_};
  return found_leaders(peer).size();
}

/// Asks a peer for each group that is led here. Gives how many of those somebody can take.
std::size_t cluster_member::lead_elsewhere() {
  std::size_t led = 0;
  for (const auto& s : log_->standings()) {
    if (s.term == 0)
      continue;
    std::vector<consensus::node_id> able;
    for (const auto& [id, name] : names_)
      if (id != self_ && link_->connected(name) && can_lead(name, s))
        able.push_back(id);
    if (able.empty())
      continue;
    ++led;
    log_->post(
      [group = s.group, to = able[s.group % able.size()]](
        consensus::raft_host& host, std::uint64_t at) { (void)host.transfer(at, group, to); });
  }
  return led;
}

consensus::node_id cluster_member::peer_id(std::string_view name) const {
  const auto id = node_id_of(name);
  return id != self_ && names_.contains(id) ? id : 0;
}

status cluster_member::set_cordoned(bool cordoned) {
  if (names_.size() == 1)
    return error{errc::conflict, "this node has no peers: no other could lead in its place"};
  cordoned_ = cordoned;
  log::info("node-cordoned", {{"node", p_.node}, {"cordoned", cordoned ? "yes" : "no"}});
  tell_status();  // before anybody gives it what it gives away
  if (cordoned)
    lead_elsewhere();
  return ok_status();
}

bool cluster_member::has_leaders() const {
  for (std::uint32_t group = 0; group <= p_.partitions; ++group)
    if (log_->leader_of(static_cast<group_id>(group)) == 0)
      return false;
  return true;
}

void cluster_member::measure(std::vector<metric_value>& out) const {
  std::size_t led = 0;
  std::size_t without = 0;
  for (const auto& s : log_->standings()) {
    led += s.term != 0 ? 1U : 0U;
    without += s.leader == 0 ? 1U : 0U;
  }
  const auto up = std::count_if(names_.begin(), names_.end(), [&](const auto& one) {
    return one.first != self_ && link_->connected(one.second);
  });
  out.push_back({"holdfast_cluster_groups_led", {}, static_cast<double>(led)});
  out.push_back({"holdfast_cluster_groups_without_leader", {}, static_cast<double>(without)});
  out.push_back({"holdfast_cluster_peers_up", {}, static_cast<double>(up)});
  out.push_back({"holdfast_cluster_snapshots_installed_total",
                 {},
                 static_cast<double>(log_->snapshots_installed())});
  out.push_back({"holdfast_cluster_requests_away", {}, static_cast<double>(others_->waiting())});
}

cluster_view cluster_member::view() const {
  cluster_view out;
  out.name = p_.config.name;
  const auto standings = log_->standings();
  const std::lock_guard lock{mutex_};
  std::map<consensus::node_id, std::uint32_t> leads;
  for (const auto& s : standings) {
    group_view group;
    group.id = s.group;
    const auto known = terms_.find(s.group);
    group.term = std::max(s.term, known == terms_.end() ? 0 : known->second);
    if (const auto* leader = name_of(s.leader)) {
      group.leader = *leader;
      ++leads[s.leader];
    }
    std::uint64_t newest = s.applied;
    for (const auto& member : s.members.members) {
      const auto* name = name_of(member.id);
      replica_view replica{name ? *name : std::to_string(member.id), 0, 0};
      if (member.id == self_)
        replica.applied = s.applied;
      else if (const auto found = heard_.find(replica.node); found != heard_.end())
        for (const auto& [of, index] : found->second.status.applied)
          if (of == s.group)
            replica.applied = index;
      newest = std::max(newest, replica.applied);
      group.replicas.push_back(std::move(replica));
    }
    for (auto& replica : group.replicas)
      replica.lag = newest - replica.applied;
    out.partitions.push_back(std::move(group));
  }
  for (const auto& [id, name] : names_) {
    cluster_node_view node;
    node.id = name;
    node.address = p_.config.peers.at(name);
    node.leaders = leads[id];
    node.replicas = static_cast<std::uint32_t>(standings.size());
    const auto found = heard_.find(name);
    if (id == self_) {
      node.state = leaving_ || p_.draining() ? "draining" : cordoned_ ? "cordoned" : "up";
      node.version = p_.version;
    } else if (found == heard_.end()) {
      node.state = link_->connected(name) ? "up" : "down";
    } else {
      const auto& told = found->second.status;
      node.state = told.draining ? "draining" : told.cordoned ? "cordoned" : "up";
      node.version = found->second.status.version;
    }
    out.nodes.push_back(std::move(node));
  }
  return out;
}

/// What that node said it leads. With the lock held.
std::vector<link::group_leader> cluster_member::found_leaders(const std::string& node) const {
  const auto found = heard_.find(node);
  return found == heard_.end() ? std::vector<link::group_leader>{} : found->second.status.leaders;
}

}  // namespace holdfast
