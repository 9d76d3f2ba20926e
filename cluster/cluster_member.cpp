#include "cluster/cluster_member.hpp"

#include <algorithm>
#include <random>

#include "runtime/host/log.hpp"
#include "schemas/codec_link.hpp"

namespace holdfast {

namespace {

constexpr std::size_t raft_frame_bytes_max = 8U << 20;
/// How long a request waits at most for the leader that it did not find.
constexpr auto tick_every = std::chrono::milliseconds{10};
constexpr unsigned ticks_per_status = 40;   // 400 ms
constexpr unsigned ticks_per_spread = 100;  // 1 s
constexpr unsigned ticks_per_change = 20;   // of members
constexpr std::int64_t define_ms_max = 2'000;
constexpr std::size_t trailing_bytes_all = 256U << 20;
constexpr std::size_t trailing_bytes_min = 1U << 20;
constexpr std::uint32_t change_ms_max = 20'000;  // then a drain gets in between
constexpr time_us clock_off_us_max = 1'000'000;
constexpr unsigned clock_off_checks_max = 3;  // one each second

std::int64_t steady_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
           std::chrono::steady_clock::now().time_since_epoch())
    .count();
}

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

cluster_member::cluster_member(parts p) : p_(std::move(p)), self_(node_id_of(p_.node)) {}

cluster_member::~cluster_member() { stop(std::chrono::milliseconds{0}); }

// ---- start and stop --------------------------------------------------------------------------------------------------

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
  net::peer_link::options options;
  const auto at = address_of(p_.config.advertise);
  options.address = at.host == "localhost" ? "127.0.0.1" : at.host;
  options.port = at.port;
  options.self = {
    p_.config.name,     p_.node,      identity_.folder, p_.version, p_.features.oldest,
    p_.features.newest, p_.partitions};
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
  of_log.host.change_ms_max = change_ms_max;
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
  on.refused = [this](std::string_view node, std::string_view why) { peer_refused(node, why); };
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
  if (snapshots_)
    snapshots_->stop();
  if (log_)
    log_->stop();
  if (link_)
    link_->stop();
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

// ---- who is who ------------------------------------------------------------------------------------------------------

std::string cluster_member::admit(const net::link_hello& peer) {
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

void cluster_member::peer_refused(std::string_view node, std::string_view why) {
  log::error("peer-refused", {{"node", std::string{node}}, {"why", std::string{why}}});
  if (why.find(removed_notice(p_.node)) != std::string_view::npos)
    end_removed();
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

void cluster_member::read_members() {
  auto known = load_cluster_state(*p_.disk);
  HOLDFAST_ASSERT(known, "the members of the cluster cannot be read");
  const auto before = directory_->get();
  if (!directory_->take(std::move(*known)))
    return;
  for (const auto& [id, node] : *directory_->get()) {
    const auto was = before->find(id);
    if (node.certain && !node.removed && (was == before->end() || !was->second.certain))
      log::info("node-added", {{"node", node.name}, {"address", node.address}});
    if (node.removed && (was == before->end() || !was->second.removed))
      log::info("node-removing", {{"node", node.name}});
  }
}

bool cluster_member::is_leaving() const {
  const auto known = directory_->find(self_);
  return known && known->removed;
}

bool cluster_member::is_joining() const {
  const auto standings = log_->standings();
  return groups_settled_in(standings, self_, voters_planned(standings)) < standings.size();
}

/// A node that is removed is spoken to until no group has it.
void cluster_member::choose_peers() {
  const auto standings = log_->standings();
  std::map<std::string, std::string> wanted;
  for (const auto& [id, node] : *directory_->get())
    if (!node.removed || is_in_a_group(standings, id))
      wanted.emplace(node.name, node.address);
  if (wanted == peers_chosen_)
    return;
  link_->set_peers(wanted);
  peers_chosen_ = std::move(wanted);
}

wanted_members cluster_member::members_wanted() const {
  wanted_members out;
  for (const auto& [id, node] : *directory_->get())
    if (node.certain)
      out[id] = {node.address, node.removed, id == self_ || link_->connected(node.name),
                 owns_partitions(node.roles)};
  return out;
}

voter_plan cluster_member::voters_planned(const std::vector<group_standing>& standings) const {
  return plan_voters(standings, members_wanted(), directory_->settings().replication);
}

/// The groups that are led here get the members that group 0 names.
void cluster_member::change_members() {
  const auto standings = log_->standings();
  for (const auto& change :
       plan_changes(standings, self_, members_wanted(), voters_planned(standings)))
    log_->post([change](consensus::raft_host& host, std::uint64_t now_ms) {
      // Refused: not the leader any more, or not now.
      if (change.address.empty())
        (void)host.remove_member(now_ms, change.group, change.who);
      else
        (void)host.add_member(now_ms, change.group, {change.who, change.address, change.as});
    });
}

/// Group 0's state follows the configuration of its leader, and what each node says of its own. Said until it does.
void cluster_member::record_settings() {
  if (!log_->leads(catalog_group))
    return;
  std::vector<member_change> wanted{set_replication{p_.config.replication}};
  std::vector<std::optional<unsigned>> newest;
  const auto heard = heard_.fresh(steady_ms());
  for (const auto& [id, node] : *directory_->get()) {
    if (!node.certain || node.removed)
      continue;
    const auto told = heard.find(node.name);
    if (id == self_) {
      wanted.emplace_back(change_roles{node.name, p_.roles});
      newest.emplace_back(p_.features.newest);
    } else if (told == heard.end()) {
      newest.emplace_back(std::nullopt);
    } else {
      wanted.emplace_back(change_roles{node.name, told->second.status.roles});
      newest.emplace_back(std::max(1U, told->second.status.feature_level));
    }
  }
  wanted.emplace_back(
    raise_feature_level{raised_level(feature_level_of(directory_->settings()), newest)});
  const auto now = load_cluster_state(*p_.disk);
  if (!now || now->nodes.empty())
    return;
  for (auto& change : wanted) {
    const auto facts = decide(*now, change);
    if (!facts) {
      if (refusals_logged_.insert(facts.error().context).second)
        log::warn("roles-not-taken", {{"why", facts.error().context}});
    } else if (!facts->empty()) {
      p_.change(std::move(change));
    }
  }
}

// ---- now and then ----------------------------------------------------------------------------------------------------

void cluster_member::tick() {
  others_->tick();
  snapshots_->tick();
  tell_defined();
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

void cluster_member::tell_status() {
  link::node_status now;
  now.node = self_;
  now.version = p_.version;
  now.at = p_.wall_now();
  now.draining = leaving_ || p_.draining();
  // What is applied is read before it is known that nothing is left to read: see `definitions_change`.
  const auto applied = log_->applied(catalog_group);
  now.definitions = definitions_pending_ == 0 ? applied : definitions_at_.load();
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
  definitions_at_ = std::max(index, definitions_at_.load());
  --definitions_pending_;
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
    std::erase_if(defining_, [&](auto& one) {
      const bool everywhere = heard_.have_definitions(one.index, now);
      if (now < one.deadline_ms && !everywhere)
        return false;
      definitions_late_ += everywhere ? 0U : 1U;
      told.push_back(std::move(one.then));
      return true;
    });
  }
  for (const auto& then : told)
    then();
}

/// Off for some seconds: what a node hears after it was stopped is old, and says nothing of clocks.
void cluster_member::judge_clock() {
  const auto off = heard_.clock_off_us();
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

// ---- who leads -------------------------------------------------------------------------------------------------------

leading_candidates cluster_member::candidates() const {
  leading_candidates out;
  const auto heard = heard_.fresh(steady_ms());
  for (const auto& [id, node] : *directory_->get()) {
    auto& one = out[id];
    one.leaving = node.removed || !owns_partitions(node.roles);
    const auto found = heard.find(node.name);
    if (found == heard.end())
      continue;
    const auto& told = found->second.status;
    one.able = !told.draining && !told.cordoned && owns_partitions(told.roles);
    one.leads = told.leaders.size();
    for (const auto& [group, index] : told.applied)
      one.applied[group] = index;
  }
  return out;
}

void cluster_member::give(const std::vector<leader_transfer>& what) {
  for (const auto& one : what)
    log_->post([one](consensus::raft_host& host, std::uint64_t at) {
      (void)host.transfer(at, one.group, one.to);  // refused: not the leader any more, or not now
    });
}

void cluster_member::spread_leaders() {
  const auto standings = log_->standings();
  give(spread(standings, self_, candidates(), voters_planned(standings)));
}

/// Asks peers to take what is led here, a few groups at a time. Gives how many of those somebody can take.
std::size_t cluster_member::lead_elsewhere() {
  const auto standings = log_->standings();
  if (std::none_of(standings.begin(), standings.end(), [](const auto& s) { return s.term != 0; }))
    return 0;
  auto able = candidates();
  for (auto& [id, one] : able)
    if (const auto name = directory_->name_of(id); !name || !link_->connected(*name))
      one.able = false;
  const auto away = give_away(standings, self_, able);
  give(begin_giving(standings, away));
  return away.size();
}

consensus::node_id cluster_member::peer_id(std::string_view name) const {
  const auto id = node_id_of(name);
  return id != self_ && directory_->find(id) ? id : 0;
}

status cluster_member::set_cordoned(bool cordoned) {
  const auto table = directory_->get();
  if (std::count_if(table->begin(), table->end(),
                    [](const auto& one) { return !one.second.removed; }) == 1)
    return error{errc::conflict, "this node has no peers: no other could lead in its place"};
  cordoned_ = cordoned;
  log::info("node-cordoned", {{"node", p_.node}, {"cordoned", cordoned ? "yes" : "no"}});
  tell_status();  // before anybody gives it what it gives away
  if (cordoned)
    lead_elsewhere();
  return ok_status();
}

}  // namespace holdfast
