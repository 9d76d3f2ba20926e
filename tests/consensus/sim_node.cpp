#include "tests/consensus/sim_node.hpp"

#include <cstring>

#include "tests/consensus/sim_world.hpp"

namespace holdfast::sim {

node::node(world& in, node_id id)
  : in_(in),
    id_(id),
    clock_offset_(in.luck.below(1'000'000)),
    clock_drift_ppm_(static_cast<std::int64_t>(in.luck.below(60'000)) - 30'000),
    disk_(in.planted()) {}

std::uint64_t node::clock() const {
  const auto now = static_cast<std::int64_t>(in_.now());
  return clock_offset_ + static_cast<std::uint64_t>(now + now * clock_drift_ppm_ / 1'000'000);
}

void node::create(group_id group, const consensus::configuration& members) {
  disk_.create(group, consensus::new_group(members));
}

void node::boot() {
  ++life_;
  host_ = std::make_unique<consensus::raft_host>(in_.options(id_));
  durable_ = sync_batch_ = 0;
  syncing_ = false;
  stopped_until_ = 0;
  for (const auto group : in_.groups()) {
    auto& g = groups_[group] = {};
    g.state = disk_.state(group);
    auto stored = disk_.load(group);
    if (g.state.applied != 0)
      in_.truth.installed(group, g.state.applied, g.state.hash);
    for (std::size_t i = 0; i < stored.entries.size(); ++i)
      in_.truth.appended(group, stored.first_index + i,
                         i > 0 ? stored.entries[i - 1].term
                         : stored.snapshot && stored.snapshot->index + 1 == stored.first_index
                           ? stored.snapshot->term
                           : UINT64_MAX,
                         stored.entries[i]);
    if (auto started = host_->start(clock(), group, stored); !started)
      throw violation("node " + std::to_string(id_) +
                      " does not start: " + started.error().context);
  }
  drain();
}

void node::crash() {
  if (installing())
    ++in_.count[count::crash_while_installing];
  in_.count[count::unsynced_write_lost] += disk_.crash(in_.luck);
  for (auto& [group, g] : groups_)
    if (g.leading_term != 0)
      lose(group, g.leading_term);
  host_.reset();
  groups_.clear();
  held_.clear();
  pinned_.clear();
  fetched_.clear();
  ++life_;
}

void node::destroy() {
  crash();
  disk_ = disk{in_.planted()};
  gone_ = true;
}

bool node::installing() const {
  for (const auto group : in_.groups())
    if (host_->find(group)->core().installing())
      return true;
  return false;
}

// ---- inputs
// -------------------------------------------------------------------------------------------------

void node::tick() {
  host_->tick(clock());
  drain();
}

void node::receive(group_id group, node_id from, const consensus::message& body) {
  if (auto taken = host_->receive(clock(), group, from, body); !taken) {
    ++in_.count[count::message_refused];
    in_.note(taken.error().context, id_, from, group);
  }
  drain();
}

bool node::propose(group_id group, std::uint64_t id, std::uint64_t padding) {
  auto& g = groups_.at(group);
  std::string data(8 + padding, static_cast<char>('a' + id % 26));
  std::memcpy(data.data(), &id, 8);
  const auto term = g.leading_term;
  auto index =
    host_->propose(clock(), group, term, std::make_shared<const std::string>(std::move(data)));
  if (index)
    g.proposed[*index] = {term, id};
  else
    ++in_.count[count::proposal_refused];
  drain();
  return static_cast<bool>(index);
}

void node::transfer(group_id group, node_id to) {
  if (host_->transfer(clock(), group, to))
    ++in_.count[count::transfer_asked];
  drain();
}

void node::add_member(group_id group, node_id who, consensus::role as) {
  groups_.at(group).change_outcome = errc::internal;
  groups_.at(group).changing = true;
  if (!host_->add_member(clock(), group, {who, address_of(who), as}))
    groups_.at(group).changing = false;
  drain();
}

void node::remove_member(group_id group, node_id who) {
  groups_.at(group).change_outcome = errc::internal;
  groups_.at(group).changing = true;
  if (!host_->remove_member(clock(), group, who))
    groups_.at(group).changing = false;
  drain();
}

bool node::leads(group_id group) const {
  const auto term = groups_.at(group).leading_term;
  return host_ && term != 0 && host_->leads(group, term, clock());
}

const machine* node::pinned(std::uint64_t snapshot_id) const {
  const auto found = pinned_.find(snapshot_id);
  return found == pinned_.end() ? nullptr : &found->second.second;
}

// ---- outputs
// -------------------------------------------------------------------------------------------------

/// As long as handling one output makes another.
void node::drain() {
  for (;;) {
    auto out = host_->take();
    if (!out.batch && out.messages.empty() && out.events.empty())
      return;
    if (out.batch)
      write(std::move(*out.batch));
    for (const auto& m : out.messages) {
      if (m.after_batch > durable_ && in_.planted() != defect::messages_before_sync)
        held_.push_back({m.after_batch, m});
      else
        send(m);
    }
    for (const auto& e : out.events)
      handle(e);
  }
}

void node::write(consensus::write_batch batch) {
  std::map<std::uint64_t, machine> states;
  for (const auto& w : batch.writes) {
    in_.note("write", id_, w.group, w.first);
    const bool changes =
      !w.entries.empty() && w.entries.back().kind == consensus::entry_kind::change;
    if ((w.hard || changes) && in_.troubled() && in_.luck.per_mille(in_.crash_on_write_per_mille))
      in_.crash_soon(id_);
    if (w.truncate_from != 0)
      ++in_.count[count::log_truncated];
    if (w.erase_before != 0)
      ++in_.count[count::log_trimmed];
    for (std::size_t i = 0; i < w.entries.size(); ++i) {
      const auto before = i > 0 ? w.entries[i - 1].term : UINT64_MAX;
      in_.truth.appended(w.group, w.first + i, before, w.entries[i]);
    }
    if (w.install) {
      ++in_.count[count::snapshot_installed];
      auto& g = groups_.at(w.group);
      g.state = states[*w.install] = std::move(fetched_.at(*w.install));
      fetched_.erase(*w.install);
      if (g.state.applied != w.snapshot->index)
        throw violation("a snapshot is not what its manifest says");
      in_.truth.installed(w.group, g.state.applied, g.state.hash);
    }
  }
  if (batch.sync)
    sync_batch_ = batch.number;
  const auto number = batch.number;
  const bool wants_sync = batch.sync;
  disk_.write(std::move(batch), std::move(states));
  if (wants_sync && in_.planted() == defect::persisted_before_sync) {
    in_.on_node(id_, 0, [number](node& n) {
      n.durable_ = std::max(n.durable_, number);
      n.host_->persisted(n.clock(), n.durable_);
      n.drain();
    });
  }
  sync();
}

/// One at a time; each covers all that is written when it starts.
void node::sync() {
  if (syncing_ || sync_batch_ <= durable_)
    return;
  syncing_ = true;
  const bool slow = in_.luck.per_mille(4);
  in_.count[count::disk_slow] += slow;
  const auto delay = slow ? in_.luck.between(100, 800) : in_.luck.between(0, in_.sync_ms_max);
  in_.on_node(id_, delay,
              [mark = disk_.mark(), batch = disk_.written()](node& n) { n.synced(mark, batch); });
}

void node::synced(std::uint64_t mark, std::uint64_t batch) {
  disk_.sync_to(mark);
  syncing_ = false;
  if (batch > durable_) {
    durable_ = batch;
    host_->persisted(clock(), durable_);
  }
  auto waiting = std::exchange(held_, {});
  for (auto& h : waiting) {
    if (h.batch <= durable_)
      send(h.message);
    else
      held_.push_back(std::move(h));
  }
  sync();
  drain();
}

void node::send(const consensus::outgoing& m) { in_.send(id_, m); }

void node::handle(const consensus::event& e) {
  using namespace consensus;
  if (const auto* told = std::get_if<entries_committed>(&e)) {
    handle_committed(*told);
  } else if (const auto* gained = std::get_if<leadership_gained>(&e)) {
    in_.note("leads", id_, gained->group, gained->term);
    ++in_.count[count::leader_elected];
    auto& g = groups_.at(gained->group);
    g.leading_term = gained->term;
    in_.truth.led(gained->group, gained->term, id_);
    in_.count[count::one_voter_led] += host_->find(gained->group)->core().members().voters() == 1;
    in_.on_node(id_, 0, [group = gained->group](node& n) { n.propose(group, n.in_.next_id++, 0); });
  } else if (const auto* lost = std::get_if<leadership_lost>(&e)) {
    in_.note("led", id_, lost->group, lost->term);
    lose(lost->group, lost->term);
  } else if (const auto* wanted = std::get_if<snapshot_wanted>(&e)) {
    // The state may be pinned a little later, when it holds more.
    in_.on_node(id_, in_.luck.below(10), [w = *wanted](node& n) {
      const auto& state = n.groups_.at(w.group).state;
      const auto id = n.in_.next_id++;
      if (state.applied < w.index_min ||
          !n.host_->offer_snapshot(n.clock(), w.group, w.to, w.term, id, state.applied))
        return;
      ++n.in_.count[count::snapshot_offered];
      n.pinned_[id] = {w.group, state};
      n.drain();
    });
  } else if (const auto* install = std::get_if<install_wanted>(&e)) {
    in_.note("install", id_, install->group, install->metadata.index);
    fetch(*install);
  } else if (const auto* changed = std::get_if<change_ended>(&e)) {
    in_.note("changed", id_, changed->group, static_cast<std::uint64_t>(changed->outcome));
    auto& g = groups_.at(changed->group);
    g.changing = false;
    g.change_outcome = changed->outcome;
    const auto* member = host_->find(changed->group)->core().members().find(changed->member);
    ++in_.count[changed->outcome != errc::ok             ? count::change_not_done
                : !member                                ? count::member_removed
                : member->as == consensus::role::standby ? count::standby_made
                                                         : count::member_added];
  } else if (std::holds_alternative<transfer_failed>(e)) {
    ++in_.count[count::transfer_failed];
  }
}

/// Acknowledged when committed in the term that it was proposed in.
void node::handle_committed(const consensus::entries_committed& told) {
  auto& g = groups_.at(told.group);
  for (std::size_t i = 0; i < told.entries.size(); ++i) {
    const auto mine = g.proposed.find(told.first + i);
    if (mine == g.proposed.end())
      continue;
    const auto p = mine->second;
    g.proposed.erase(mine);
    if (p.term != g.leading_term || told.entries[i].term != p.term)
      throw violation("another entry at the index of a proposal");
    in_.truth.acked(told.group, told.first + i, p.id);
    ++in_.count[count::entry_acked];
  }
  g.to_apply.push_back(told);
  if (g.to_apply.size() == 1)
    in_.on_node(id_, in_.luck.below(12), [group = told.group](node& n) { n.apply(group); });
}

void node::apply(group_id group) {
  auto& g = groups_.at(group);
  for (auto& told : std::exchange(g.to_apply, {})) {
    if (told.after_batch > disk_.written())
      throw violation("an entry is to be applied before it is written");
    disk::applied_write out{group, 0, {}};
    for (std::size_t i = 0; i < told.entries.size(); ++i) {
      const auto index = told.first + i;
      if (index <= g.state.applied)
        continue;  // in the snapshot that was installed meanwhile
      g.state.apply(index, told.entries[i]);
      in_.truth.applied(group, index, told.entries[i], g.state.hash, id_);
      out.first = out.first == 0 ? index : out.first;
      out.entries.push_back(told.entries[i]);
    }
    if (out.entries.empty())
      continue;
    in_.note("apply", id_, g.state.applied, g.state.hash);
    disk_.write(std::move(out));
    host_->applied(clock(), group, g.state.applied);
  }
  drain();
}

void node::lose(group_id group, std::uint64_t term) {
  auto& g = groups_.at(group);
  ++in_.count[count::term_lost];
  g.leading_term = 0;
  g.changing = false;
  for (const auto& [index, p] : g.proposed) {
    if (p.term != term)
      throw violation("a proposal of another term");
    ++in_.count[count::outcome_unknown];
    in_.unknown.emplace_back(group, p.id);
  }
  g.proposed.clear();
}

void node::fetch(const consensus::install_wanted& wanted) {
  in_.on_node(id_, in_.luck.between(5, 250), [wanted](node& n) {
    auto& source = n.in_.at_node(wanted.from);
    const auto* state =
      source.up() && n.in_.reaches(wanted.from, n.id_) && n.in_.reaches(n.id_, wanted.from)
        ? source.pinned(wanted.snapshot_id)
        : nullptr;
    if (state) {
      n.fetched_[wanted.snapshot_id] = *state;
      if (!n.host_->snapshot_fetched(wanted.group, wanted.snapshot_id))
        throw violation("a snapshot that nobody waits for");
    } else {
      ++n.in_.count[count::snapshot_failed];
      if (!n.host_->snapshot_failed(n.clock(), wanted.group, wanted.snapshot_id))
        throw violation("a snapshot that nobody waits for");
    }
    n.drain();
  });
}

}  // namespace holdfast::sim
