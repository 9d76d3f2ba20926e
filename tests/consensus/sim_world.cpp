#include "tests/consensus/sim_world.hpp"

#include <cstdio>

namespace holdfast::sim {

namespace {

constexpr node_id first_nodes = 5;  // up from the beginning; members of groups or not

}  // namespace

std::string address_of(node_id id) { return "node-" + std::to_string(id); }

world::world(std::uint64_t seed, defect planted, bool trace)
  : luck(seed), seed_(seed), planted_(planted), trace_(trace) {
  for (group_id g = 0; g < 1 + luck.below(3); ++g)
    groups_.push_back(g);
  for (node_id id = 1; id <= first_nodes; ++id)
    nodes_.emplace(id, std::make_unique<node>(*this, id));
  for (const auto group : groups_) {
    constexpr std::array<std::uint64_t, 6> sizes{1, 2, 3, 3, 4, 5};
    consensus::configuration members;
    const auto voters = sizes[luck.below(sizes.size())];
    const auto start = luck.below(first_nodes);
    for (std::uint64_t i = 0; i < voters; ++i) {
      const node_id id = (start + i) % first_nodes + 1;
      members.members.push_back({id, address_of(id), consensus::role::voter});
    }
    for (const auto& m : members.members)
      at_node(m.id).create(group, members);
  }
  network_.drop_per_mille = luck.below(4) * luck.below(30);
  network_.late_per_mille = luck.below(3) * luck.below(25);
  network_.duplicate_per_mille = luck.below(3) * luck.below(25);
  network_.delay_ms_max = 1 + luck.below(2) * luck.below(30) + luck.below(4);
  if (luck.per_mille(150))
    network_ = {luck.below(150), luck.below(200), luck.below(200), 40};
  crash_weight_ = luck.below(4);
  partition_weight_ = luck.below(4);
  stop_weight_ = luck.below(3);
  operate_weight_ = 1 + luck.below(5) + luck.below(2) * luck.below(10);
  constexpr std::array<std::uint64_t, 4> sync_ms{6, 6, 40, 150};
  sync_ms_max = sync_ms[luck.below(sync_ms.size())];
  crash_on_write_per_mille = luck.below(3) == 0 ? luck.below(60) : 0;
  constexpr std::array<std::uint64_t, 3> trailing{12, 60, 400};
  trailing_entries_ = trailing[luck.below(trailing.size())];
}

consensus::host_options world::options(node_id self) const {
  consensus::host_options o;
  o.core.self = self;
  o.core.election_timeout_ms = election_timeout_ms;
  o.core.heartbeat_ms = heartbeat_ms;
  o.core.install_snapshot_timeout_ms = 1500;
  o.core.catch_up_round_ms_max = 2000;
  o.core.seed = static_cast<std::uint32_t>(seed_ * 31 + self);
  o.core.message_bytes_max = 700;
  auto& w = o.core.workarounds;
  w.split_changes = planted_ != defect::changes_not_split;
  w.settle_previous_change = planted_ != defect::previous_change_open;
  w.sole_voter_new_term = planted_ != defect::sole_voter_same_term;
  w.tell_term_to_pre_candidate = planted_ != defect::pre_candidate_not_told;
  w.clear_stale_index = planted_ != defect::stale_index_kept;
  w.disrupt_once = planted_ != defect::disrupt_for_ever;
  w.learners_vote = planted_ != defect::learner_does_not_vote;
  w.skip_trimmed = planted_ != defect::trimmed_appended_again;
  w.ignore_late_rejection = planted_ != defect::late_rejection_believed;
  o.lease_ms = lease_ms;
  o.trailing_entries = trailing_entries_;
  o.trailing_bytes = 300 * trailing_entries_;
  o.trim_step_entries = 6;
  o.uncommitted_entries_max = 64;
  o.change_ms_max = 4000;
  return o;
}

void world::note(std::string_view what, std::uint64_t a, std::uint64_t b, std::uint64_t c) {
  digest_ = mix(digest_ ^ a, mix(now_ ^ b << 32, c + what.size()));
  if (trace_)
    std::fprintf(stderr, "%6llu %.*s %llu %llu %llu\n", static_cast<unsigned long long>(now_),
                 static_cast<int>(what.size()), what.data(), static_cast<unsigned long long>(a),
                 static_cast<unsigned long long>(b), static_cast<unsigned long long>(c));
}

// ---- time
// -------------------------------------------------------------------------------------------------

void world::at(std::uint64_t when, std::function<void()> what) {
  agenda_.push({when, ++order_, std::move(what)});
}

void world::on_node(node_id who, std::uint64_t delay_ms, std::function<void(node&)> what) {
  at(now_ + delay_ms, [this, who, life = at_node(who).life(), what = std::move(what)]() mutable {
    auto& n = at_node(who);
    if (!n.up() || n.life() != life)
      return;
    if (n.stopped_until() > now_)
      on_node(who, n.stopped_until() - now_, std::move(what));
    else
      what(n);
  });
}

void world::run_until(std::uint64_t when, const std::function<bool()>& done) {
  while (!agenda_.empty() && agenda_.top().when <= when) {
    auto next = std::move(const_cast<timed&>(agenda_.top()));
    agenda_.pop();
    const bool later = next.when != now_;
    now_ = next.when;
    ++count.events;
    next.what();
    if (later)
      check_leases();
    if (later && done && done())
      return;
  }
  now_ = when;
}

/// Whoever leads may act: a stopped node too, at the moment it wakes.
void world::check_leases() {
  for (const auto group : groups_) {
    node_id leads = 0;
    for (const auto& [id, n] : nodes_) {
      if (!n->up() || !n->leads(group))
        continue;
      if (leads != 0)
        throw violation("nodes " + std::to_string(leads) + " and " + std::to_string(id) +
                        " lead group " + std::to_string(group) + " at one time");
      leads = id;
    }
  }
  for (auto cut = cut_since_.begin(); cut != cut_since_.end();) {
    auto& n = at_node(cut->first);
    if (!n.up() || now_ < cut->second + lease_ms + lease_ms / 20) {
      ++cut;
      continue;
    }
    for (const auto group : groups_) {
      const auto voters = n.host().find(group)->core().members().voters();
      if (n.leads(group) && voters > 1)
        throw violation("node " + std::to_string(cut->first) + " is cut off and still leads");
      count[count::cut_leader_lost_lease] += n.leading_term(group) != 0 && voters > 1;
    }
    cut = cut_since_.erase(cut);
  }
}

// ---- network
// -------------------------------------------------------------------------------------------------

void world::send(node_id from, const consensus::outgoing& m) {
  if (luck.per_mille(network_.drop_per_mille)) {
    ++count[count::message_dropped];
    return;
  }
  const bool twice = luck.per_mille(network_.duplicate_per_mille);
  count[count::message_duplicated] += twice;
  for (int i = 0; i < 1 + twice; ++i) {
    auto delay = luck.between(1, network_.delay_ms_max);
    if (luck.per_mille(network_.late_per_mille)) {
      ++count[count::message_delayed];
      delay = luck.between(50, luck.per_mille(200) ? 3000 : 600);
    }
    at(now_ + delay, [this, from, m] { deliver(from, m.to, m); });
  }
}

void world::deliver(node_id from, node_id to, const consensus::outgoing& m) {
  if (!reaches(from, to)) {
    ++count[count::message_blocked];
    return;
  }
  const auto found = nodes_.find(to);
  if (found == nodes_.end() || !found->second->up())
    return;
  note("message", from, to, m.body.index());
  if (const auto* e = std::get_if<consensus::append_entries>(&m.body); e && trace_)
    note("  entries: previous, count, group", e->prev_log_index, e->entries.size(), m.group);
  if (const auto* r = std::get_if<consensus::append_entries_result>(&m.body); r && trace_)
    note("  result: rejected, last, group", r->rejected, r->last_log_index, m.group);
  on_node(to, 0, [this, from, m](node& n) {
    auto body = m.body;
    auto* answer = std::get_if<consensus::append_entries_result>(&body);
    if (answer && answer->clock_ms != 0 && planted_ == defect::contact_at_answer)
      answer->clock_ms = n.clock();
    n.receive(m.group, from, body);
  });
}

// ---- a life
// -------------------------------------------------------------------------------------------------

void world::run() {
  for (auto& [id, n] : nodes_) {
    n->boot();
    tick(id);
  }
  at(now_ + 1, [this] { client(); });
  at(now_ + luck.below(600), [this] { trouble(); });
  at(now_ + 600, [this] { operate(); });
  run_until(now_ + luck.between(2500, 5500));
  heal();
  recover();
}

void world::tick(node_id who) {
  at(now_ + luck.between(12, 22), [this, who] { tick(who); });
  on_node(who, 0, [](node& n) { n.tick(); });
}

void world::client() {
  at(now_ + luck.between(1, 25), [this] { client(); });
  auto group = groups_[luck.below(groups_.size())];
  auto id = next_id;
  const bool again = !unknown.empty() && luck.per_mille(300);
  if (again) {
    group = unknown.back().first;
    id = unknown.back().second;
  }
  const bool burst = luck.per_mille(60);
  for (auto& [who, n] : nodes_) {
    if (!n->up() || n->leading_term(group) == 0 || n->stopped_until() > now_)
      continue;
    if (again)
      unknown.pop_back();
    else
      ++next_id;
    n->propose(group, id, luck.below(120));
    for (int i = 0; burst && i < 30; ++i)
      n->propose(group, next_id++, luck.below(300));
    return;
  }
}

node* world::random_up() {
  std::vector<node*> up;
  for (auto& [id, n] : nodes_)
    if (n->up())
      up.push_back(n.get());
  return up.empty() ? nullptr : up[luck.below(up.size())];
}

node* world::leader_of(group_id group) {
  node* found = nullptr;
  for (auto& [id, n] : nodes_)
    if (n->up() && n->leading_term(group) != 0 && n->stopped_until() <= now_ &&
        (!found || n->leading_term(group) > found->leading_term(group)))
      found = n.get();
  return found;
}

void world::heal() {
  note("heal");
  troubled_ = false;
  network_ = {};
  sync_ms_max = 6;
  blocked_.clear();
  cut_since_.clear();
  for (auto& [id, n] : nodes_) {
    n->stop_until(now_);
    boot(*n);
  }
  // Whatever the members' views of the groups are, one node may be missing.
  if (dead_ == 0 && luck.per_mille(500) && may_lose_one(false)) {
    ++count[count::node_kept_down];
    auto* n = random_up();
    down_ = n->id();
    note("stays down", down_);
    n->crash();
  }
}

/// Every group elects a leader, commits something new, and all its members that are not gone come
/// to hold it.
bool world::recovered(group_id group) {
  auto* leader = leader_of(group);
  if (!leader || !leader->leads(group) || leader->changing(group))
    return false;
  auto& [probe, asked_ms] = probe_[group];
  if (probe == 0 || !leader->state(group).ids.contains(probe)) {
    if (asked_ms == 0 || now_ > asked_ms + 2 * election_timeout_ms) {
      const auto id = next_id++;
      asked_ms = now_;
      if (leader->propose(group, id, 0))
        probe = id;
    }
    return false;
  }
  for (const auto& m : leader->host().find(group)->core().members().members) {
    const auto& n = at_node(m.id);
    if (m.as != consensus::role::spare && n.up() && !n.state(group).ids.contains(probe))
      return false;
  }
  return true;
}

std::string world::describe(group_id group) const {
  std::string out;
  for (const auto& [id, n] : nodes_) {
    if (!n->up())
      continue;
    const auto* g = n->host().find(group);
    const auto& core = g->core();
    constexpr std::array states{"follower", "candidate", "leader"};
    out += "\n  node " + std::to_string(id) + ": " +
           states[static_cast<std::size_t>(core.state())] + " of term " +
           std::to_string(core.term()) + ", leader " + std::to_string(core.leader()) + ", log " +
           std::to_string(core.log().first()) + ".." + std::to_string(core.log().last()) +
           ", stored " + std::to_string(core.stored_index()) + ", committed " +
           std::to_string(core.commit_index()) + ", applied " + std::to_string(g->applied_index()) +
           (core.installing() ? ", installing" : "") + (n->changing(group) ? ", changing" : "") +
           ", members";
    for (const auto& m : core.members().members)
      out += " " + std::to_string(m.id) +
             "vbs"[m.as == consensus::role::voter     ? 0
                   : m.as == consensus::role::standby ? 1
                                                      : 2];
  }
  return out;
}

void world::recover() {
  const auto healed = now_;
  const auto all = [this] {
    for (const auto group : groups_)
      if (!recovered(group))
        return false;
    return true;
  };
  run_until(healed + recovery_ms_limit, all);
  for (const auto group : groups_)
    if (!recovered(group))
      throw violation("group " + std::to_string(group) +
                      " does not recover after the faults have ended" + describe(group));
  count.recovery_ms_max = now_ - healed;
  change_once_more();
  for (const auto group : groups_)
    for (const auto& [id, n] : nodes_)
      if (n->up())
        truth.complete(group, n->state(group), id);
}

/// The members of a group can still be changed.
void world::change_once_more() {
  for (const auto group : groups_) {
    const auto started = now_;
    node_id asked = 0;
    const auto done = [&] {
      auto* leader = leader_of(group);
      if (!leader)
        return false;
      if (asked == leader->id() && leader->change_outcome(group) == errc::ok)
        return true;
      if (leader->changing(group))
        return false;
      const auto& members = leader->host().find(group)->core().members();
      asked = leader->id();
      for (const auto& [id, n] : nodes_)
        if (n->up() && !members.is_voter(id) && !members.is_voter(down_)) {
          leader->add_member(group, id);
          return false;
        }
      for (const auto& m : members.members)
        if (m.id != leader->id() && (!members.is_voter(down_) || m.id == down_)) {
          leader->remove_member(group, m.id);
          return false;
        }
      return false;
    };
    run_until(started + recovery_ms_limit, done);
    if (!done())
      throw violation("the members of group " + std::to_string(group) +
                      " can no longer be changed" + describe(group));
  }
}

run_result run_seed(std::uint64_t seed, defect planted, bool trace) {
  run_result out;
  world w{seed, planted, trace};
  try {
    w.run();
  } catch (const violation& v) {
    out.violated = std::string{v.what()} + " at " + std::to_string(w.now()) + " ms";
  }
  out.digest = w.digest();
  out.count = w.count;
  return out;
}

}  // namespace holdfast::sim
