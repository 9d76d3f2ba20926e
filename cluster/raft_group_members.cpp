// What a leader does beside replicating: transfers, changes of members, snapshots for those behind;
// and what a follower does with a snapshot.

#include <algorithm>

#include "cluster/raft_group.hpp"

namespace holdfast::consensus {

// ---- lease
// -------------------------------------------------------------------------------------------------

/// 0: no lease. Whoever was asked to take over may be elected at once, whatever others have
/// promised.
std::uint64_t raft_group::lease_until(std::uint64_t now_ms) const {
  if (leading_term_ == 0 || (transfer_ && transfer_->sent))
    return 0;
  const auto contact = contact_.at(core_->members(), options_.core.self, now_ms);
  return contact == 0 ? 0 : contact + options_.lease_ms;
}

bool raft_group::leads(std::uint64_t term, std::uint64_t now_ms) const {
  return term != 0 && term == leading_term_ && now_ms < lease_until(now_ms);
}

// ---- transfer
// -------------------------------------------------------------------------------------------------

bool raft_group::can_take_over(std::uint64_t now_ms, node_id who) const {
  const auto heard_ms = contact_.of(who);
  return leading_term_ != 0 && who != options_.core.self && core_->members().is_voter(who) &&
         heard_ms != 0 && now_ms < heard_ms + options_.lease_ms &&
         core_->match_index(who) + options_.takeover_lag_max >= core_->log().last();
}

/// Refused at once for a voter that is silent or far behind: until the transfer has come to nothing,
/// nothing can be proposed.
status raft_group::transfer(std::uint64_t now_ms, node_id to, group_sink sink) {
  if (leading_term_ == 0)
    return not_leader();
  if (change_ || transfer_)
    return error{errc::conflict, "a change of members, or another transfer, is under way"};
  if (to == options_.core.self || !core_->members().is_voter(to))
    return error{errc::not_found, "no other voter with this id"};
  if (!can_take_over(now_ms, to))
    return error{errc::conflict, "it has not acknowledged enough of the log lately"};
  transfer_ = transfer_state{to, now_ms + options_.core.election_timeout_ms, false};
  settle(now_ms, sink);
  return ok_status();
}

/// Nothing is proposed meanwhile, so the successor gets to hold the whole log. libraft would ask it
/// to take over after its next answer, whatever that says, and once only. The request may be late,
/// and be followed at any time in this term; so when it was without effect, this leader ends the
/// term itself.
void raft_group::drive_transfer(std::uint64_t now_ms, group_sink sink) {
  if (!transfer_)
    return;
  raft_core::updates updates;
  const auto to = transfer_->to;
  if (now_ms >= transfer_->deadline_ms || !core_->members().is_voter(to)) {
    sink.out.events.push_back(transfer_failed{id_, to});
    if (transfer_->sent)
      core_->abdicate(now_ms, updates);
    transfer_.reset();
  } else if (!transfer_->sent && core_->match_index(to) == core_->log().last()) {
    transfer_->sent = true;
    core_->transfer(now_ms, to, updates);
  }
  take(now_ms, std::move(updates), sink);
}

// ---- members
// -------------------------------------------------------------------------------------------------

status raft_group::begin_change(std::uint64_t now_ms, change_state wanted, group_sink sink) {
  if (leading_term_ == 0)
    return not_leader();
  if (change_ || transfer_)
    return error{errc::conflict, "another change of members, or a transfer, is under way"};
  wanted.deadline_ms = now_ms + options_.change_ms_max;
  change_ = std::move(wanted);
  settle(now_ms, sink);
  return ok_status();
}

status raft_group::add_member(std::uint64_t now_ms, member wanted, group_sink sink) {
  const auto& [id, address, as] = wanted;
  if (id == 0 || address.empty() || as == role::spare)
    return error{errc::malformed, "a member needs an id, an address, and something to do"};
  if (leading_term_ != 0 && id == options_.core.self && as != role::voter)
    return error{errc::conflict, "a leader votes: transfer leadership first"};
  if (core_->members().find(id) == nullptr)
    for (const auto& m : core_->members().members)
      if (m.address == address)
        return error{errc::conflict, "another member has this address"};
  return begin_change(now_ms, {true, std::move(wanted), 0, false}, sink);
}

/// A node that is not in its own newest configuration does not campaign in libraft, as it should
/// until that is committed. It may be the only one that holds it, and then nobody could be elected;
/// so it is not let happen: a leader does not remove itself, and sends nothing to whom it removes.
status raft_group::remove_member(std::uint64_t now_ms, node_id id, group_sink sink) {
  if (leading_term_ != 0 && id == options_.core.self)
    return error{errc::conflict, "a leader cannot be removed: transfer leadership first"};
  return begin_change(now_ms, {false, {id, {}, role::spare}, 0, false}, sink);
}

void raft_group::end_change(errc outcome, group_sink sink) {
  sink.out.events.push_back(change_ended{id_, change_->who.id, outcome});
  change_.reset();
}

/// One step at a time, each when the one before has taken effect. Asked for again after a loss of
/// leadership, it goes on where it was. A voter that shall be a standby is removed first, for the reason above: one
/// that holds the only copy of the change to its role would neither campaign nor vote for another.
/// libraft remembers for a whole term that a member has caught up, however far behind it is by now.
void raft_group::drive_change(std::uint64_t now_ms, group_sink sink) {
  if (!change_)
    return;
  if (now_ms >= change_->deadline_ms) {
    end_change(errc::timeout, sink);
    return;
  }
  if (!core_->can_change() || core_->log().configuration_newest().index > applied_)
    return;
  const auto& who = change_->who;
  const auto* present = core_->members().find(who.id);
  auto next = core_->members();
  const auto position = std::find_if(next.members.begin(), next.members.end(),
                                     [&](const member& m) { return m.id == who.id; });
  raft_core::updates updates;
  if (change_->adding) {
    if (present && present->as == who.as) {
      end_change(errc::ok, sink);
      return;
    }
    if (present && present->as != role::voter &&
        core_->match_index(who.id) != core_->log().last() &&
        !(change_->catching_up &&
          core_->catch_up_of(who.id) == raft_core::catch_up_state::finished)) {
      change_->catching_up = true;
      core_->catch_up(now_ms, who.id, updates);
      take(now_ms, std::move(updates), sink);
      return;
    }
    if (!present)
      next.members.push_back({who.id, who.address, role::spare});
    else if (present->as == role::voter)
      next.members.erase(position);
    else
      position->as = who.as;
  } else {
    if (!present) {
      end_change(errc::ok, sink);
      return;
    }
    next.members.erase(position);
  }
  HOLDFAST_ASSERT(core_->change(now_ms, next, updates), "a leader that cannot change its members");
  take(now_ms, std::move(updates), sink);
}

// ---- snapshots
// -------------------------------------------------------------------------------------------------

/// libraft asks again when the member still lacks entries; the same snapshot does as long as the
/// log goes on after it.
void raft_group::send_or_want_snapshot(std::uint64_t now_ms, node_id to, const install_snapshot& m,
                                       group_sink sink) {
  const auto known = offers_.find(to);
  if (known != offers_.end()) {
    const auto& o = known->second;
    if (o.metadata.index + 1 >= core_->log().first() &&
        now_ms - o.made_ms < options_.core.install_snapshot_timeout_ms) {
      put_message(to, install_snapshot{m.term, now_ms, o.snapshot_id, o.metadata}, sink);
      return;
    }
    offers_.erase(known);
  }
  sink.out.events.push_back(snapshot_wanted{id_, to, m.term, m.metadata.index});
}

status raft_group::offer_snapshot(std::uint64_t now_ms, node_id to, std::uint64_t term,
                                  std::uint64_t snapshot_id, std::uint64_t index, group_sink sink) {
  if (leading_term_ == 0 || leading_term_ != term)
    return not_leader();
  const auto& log = core_->log();
  if (index > applied_ || log.term_at(index) == 0 || !core_->members().find(to))
    return error{errc::conflict, "not a state that the log goes on after, or nobody to send it to"};
  // Heartbeats meanwhile refer to the entry of the last snapshot that libraft knows of.
  if (index > log.snapshot().index && index <= core_->stored_index())
    trim_at(now_ms, index, log.first(), sink);
  const auto& as_of = log.configuration_at(index);
  offer made{snapshot_id, {index, log.term_at(index), as_of.members, as_of.index}, now_ms};
  put_message(to, install_snapshot{term, now_ms, snapshot_id, made.metadata}, sink);
  offers_[to] = std::move(made);
  fetching_.try_emplace(to, index).first->second.offered_ms = now_ms;
  return ok_status();
}

status raft_group::snapshot_fetched(std::uint64_t snapshot_id, group_sink sink) {
  if (!install_ || install_->what.snapshot_id != snapshot_id || install_->batch != 0 ||
      install_->failed)
    return error{errc::conflict, "nobody waits for this snapshot"};
  auto& write = writes(sink, true);
  write.install = snapshot_id;
  write.snapshot = install_->what.metadata;
  install_->batch = sink.batch;
  return ok_status();
}

status raft_group::snapshot_failed(std::uint64_t now_ms, std::uint64_t snapshot_id,
                                   group_sink sink) {
  if (!install_ || install_->what.snapshot_id != snapshot_id || install_->batch != 0)
    return error{errc::conflict, "nobody waits for this snapshot"};
  install_->failed = true;
  restart_if_failed(now_ms, sink);
  settle(now_ms, sink);
  return ok_status();
}

/// libraft waits for ever for a snapshot that it once asked for. The disk still holds the old log;
/// the group starts again from that, as after a crash, once all of it is durable and what was told is applied.
void raft_group::restart_if_failed(std::uint64_t now_ms, group_sink sink) {
  if (!install_ || !install_->failed || synced_batch_ > sink.durable || applied_ < told_)
    return;
  const auto& log = *install_->what.before;
  stored_group stored;
  stored.hard = core_->hard();
  if (log.snapshot().index != 0)
    stored.snapshot = log.snapshot();
  stored.first_index = log.first();
  for (auto i = log.first(); i <= log.last(); ++i)
    stored.entries.push_back(log.at(i));
  stored.applied = applied_;
  install_.reset();
  HOLDFAST_ASSERT(start(stored, now_ms, sink), "a group that does not start again");
}

}  // namespace holdfast::consensus
