#include "cluster/raft_group.hpp"

#include <algorithm>
#include <limits>

namespace holdfast::consensus {

status raft_group::start(const stored_group& stored, std::uint64_t now_ms, group_sink sink) {
  auto options = options_.core;
  options.group = id_;
  options.seed = options.seed * 2'654'435'761U + id_ * 40'503U + static_cast<std::uint32_t>(now_ms);
  raft_core::updates updates;
  auto core = raft_core::start(options, stored, now_ms, updates);
  if (!core)
    return core.error();
  core_ = std::move(*core);
  started_ms_ = now_ms;
  applied_ = told_ = stored.applied;
  take(now_ms, std::move(updates), sink);
  return ok_status();
}

// ---- inputs
// -------------------------------------------------------------------------------------------------

void raft_group::tick(std::uint64_t now_ms, group_sink sink) {
  raft_core::updates updates;
  core_->tick(now_ms, updates);
  take(now_ms, std::move(updates), sink);
  tell_members(now_ms, sink);
  settle(now_ms, sink);
}

status raft_group::receive(std::uint64_t now_ms, node_id from, const message& body,
                           group_sink sink) {
  // Before it stopped, this node may have heard from a leader, which counts on its keeping quiet
  // for an election timeout. Only that leader's own successor may be voted for.
  if (const auto* vote = std::get_if<request_vote>(&body);
      vote && !vote->disrupt_leader && now_ms < started_ms_ + options_.core.election_timeout_ms)
    return ok_status();
  raft_core::updates updates;
  if (auto right = core_->receive(now_ms, from, body, updates); !right)
    return right;
  const auto heard = [&](std::uint64_t term, std::uint64_t clock_ms) {
    if (term != core_->term() || core_->leader() != from || core_->state() != core_state::follower)
      return;
    const bool same = heard_from_ == from && heard_term_ == term;
    heard_clock_ms_ = same ? std::max(heard_clock_ms_, clock_ms) : clock_ms;
    heard_from_ = from;
    heard_term_ = term;
  };
  if (const auto* m = std::get_if<append_entries>(&body))
    heard(m->term, m->clock_ms);
  else if (const auto* s = std::get_if<install_snapshot>(&body))
    heard(s->term, s->clock_ms);
  else if (const auto* r = std::get_if<append_entries_result>(&body);
           r && leading_term_ != 0 && r->term == leading_term_ && r->clock_ms <= now_ms)
    contact_.heard(from, r->clock_ms);
  take(now_ms, std::move(updates), sink);
  settle(now_ms, sink);
  return ok_status();
}

void raft_group::persisted(std::uint64_t now_ms, group_sink sink) {
  std::uint64_t last = 0;
  for (; !pending_.empty() && pending_.front().batch <= sink.durable; pending_.pop_front())
    last = std::max(last, pending_.front().last);
  raft_core::updates updates;
  if (install_ && install_->batch != 0 && install_->batch <= sink.durable) {
    applied_ = told_ = install_->what.metadata.index;
    install_.reset();
    core_->snapshot_persisted(now_ms, updates);
  } else if (!core_->installing() && last > core_->stored_index()) {
    core_->persisted(now_ms, last, updates);
  }
  watch_leadership(sink);
  take(now_ms, std::move(updates), sink);
  restart_if_failed(now_ms, sink);
  settle(now_ms, sink);
}

void raft_group::applied(std::uint64_t now_ms, std::uint64_t index, group_sink sink) {
  if (index <= applied_)
    return;  // of a state that a snapshot took the place of
  HOLDFAST_ASSERT(index <= told_, "applied what was not committed");
  applied_ = index;
  if (install_)
    return restart_if_failed(now_ms, sink);
  raft_core::updates updates;
  core_->applied(now_ms, index, updates);
  take(now_ms, std::move(updates), sink);
  trim(now_ms, sink);
  settle(now_ms, sink);
}

status raft_group::not_leader() const {
  return error{errc::not_leader, "this node does not lead group " + std::to_string(id_)};
}

result<std::uint64_t> raft_group::propose(std::uint64_t now_ms, std::uint64_t term,
                                          std::shared_ptr<const std::string> data,
                                          group_sink sink) {
  if (leading_term_ == 0 || leading_term_ != term)
    return not_leader().error();
  const auto uncommitted = core_->log().last() - core_->commit_index();
  const bool has_room = uncommitted < options_.uncommitted_entries_max &&
                        (uncommitted_bytes_ == 0 ||
                         uncommitted_bytes_ + data->size() <= options_.uncommitted_bytes_max);
  if (transfer_ || !has_room)
    return error{errc::overloaded, transfer_ ? "leadership is being transferred"
                                             : "too many entries of the group are not committed"};
  uncommitted_bytes_ += data->size();
  raft_core::updates updates;
  auto index = core_->propose(now_ms, std::move(data), updates);
  HOLDFAST_ASSERT(index, "a leader that cannot append");
  take(now_ms, std::move(updates), sink);
  settle(now_ms, sink);
  return *index;
}

// ---- what the core asks for
// ------------------------------------------------------------------------------------------

log_write& raft_group::writes(group_sink sink, bool sync) {
  if (!sink.out.batch)
    sink.out.batch = write_batch{sink.batch, false, {}};
  sink.out.batch->sync |= sync;
  written_batch_ = sink.batch;
  if (sync)
    synced_batch_ = sink.batch;
  auto& added = sink.out.batch->writes.emplace_back();
  added.group = id_;
  return added;
}

void raft_group::take(std::uint64_t now_ms, raft_core::updates&& updates, group_sink sink) {
  for (auto& u : updates) {
    if (u.hard) {
      writes(sink, true).hard = u.hard;
      hard_batch_ = sink.batch;
    }
    if (u.appended)
      take_append(*u.appended, sink);
    if (u.installed)
      install_ = install_state{*u.installed, 0, false};
    // A lease must not outlive the leadership, nor contacts be those of another one.
    watch_leadership(sink);
    for (auto& m : u.messages)
      send(now_ms, std::move(m), sink);
    if (u.installed)
      sink.out.events.push_back(
        install_wanted{id_, u.installed->from, u.installed->snapshot_id, u.installed->metadata});
  }
  tell_committed(sink);
  note_commit(now_ms, sink);
}

void raft_group::take_append(const core_update::append& appended, group_sink sink) {
  auto& write = writes(sink, true);
  write.truncate_from = appended.truncates ? appended.first : 0;
  write.first = appended.first;
  write.entries = appended.entries;
  // Of what older batches hold, only what comes before this can still be reported as durable. Terms
  // do not tell: an entry may be replaced and come back before the first of its writes is durable.
  for (auto& p : pending_)
    p.last = std::min(p.last, appended.first - 1);
  pending_.push_back({sink.batch, appended.first + appended.entries.size() - 1});
}

void raft_group::send(std::uint64_t now_ms, core_update::addressed&& m, group_sink sink) {
  if (auto* snapshot = std::get_if<install_snapshot>(&m.body)) {
    send_or_want_snapshot(now_ms, m.to, *snapshot, sink);
    return;
  }
  if (auto* answer = std::get_if<append_entries_result>(&m.body);
      answer && heard_from_ == m.to && heard_term_ == answer->term)
    answer->clock_ms = heard_clock_ms_;
  if (const auto* entries = std::get_if<append_entries>(&m.body); entries && leading_term_ != 0)
    commit_sent_[m.to] = std::max(commit_sent_[m.to], entries->leader_commit);
  put_message(m.to, std::move(m.body), sink);
}

/// Term and vote before any message that was made with them.
void raft_group::put_message(node_id to, message body, group_sink sink) {
  const auto after = hard_batch_ > sink.durable ? hard_batch_ : 0;
  sink.out.messages.push_back({id_, to, after, std::move(body)});
}

/// Told once the term is durable: a node that elects itself could otherwise, after a crash, lead in
/// one term twice.
void raft_group::watch_leadership(group_sink sink) {
  const bool leading = core_->state() == core_state::leader && hard_batch_ <= sink.durable;
  const auto now_leading = leading ? core_->term() : 0;
  if (now_leading == leading_term_)
    return;
  if (leading_term_ != 0)
    sink.out.events.push_back(leadership_lost{id_, leading_term_});
  if (change_)
    end_change(errc::unknown_outcome, sink);
  transfer_.reset();
  offers_.clear();
  fetching_.clear();
  contact_.clear();
  commit_sent_.clear();
  news_due_ms_ = 0;
  uncommitted_bytes_ = 0;
  leading_term_ = now_leading;
  if (leading_term_ != 0)
    sink.out.events.push_back(leadership_gained{id_, leading_term_});
}

void raft_group::tell_committed(group_sink sink) {
  const auto commit = core_->commit_index();
  if (core_->installing() || commit <= told_)
    return;
  entries_committed told{id_, written_batch_ > sink.durable ? written_batch_ : 0, told_ + 1, {}};
  for (; told_ < commit; ++told_) {
    told.entries.push_back(core_->log().at(told_ + 1));
    const auto& e = told.entries.back();
    if (e.kind == entry_kind::command && e.term == leading_term_)
      uncommitted_bytes_ -= std::min(uncommitted_bytes_, e.data->size());
  }
  sink.out.events.push_back(std::move(told));
}

void raft_group::note_commit(std::uint64_t now_ms, group_sink sink) {
  const auto commit = core_->commit_index();
  if (commit == commit_noted_)
    return;
  commit_noted_ = commit;
  if (leading_term_ == 0 || news_due_ms_ != 0)
    return;
  news_due_ms_ = now_ms + options_.commit_news_ms;
  sink.tick_due_ms = std::min(sink.tick_due_ms, news_due_ms_);
}

/// Who holds what is committed and was not told so by an entry meanwhile. Whoever lags is told by
/// what it still gets.
void raft_group::tell_members(std::uint64_t now_ms, group_sink sink) {
  if (news_due_ms_ == 0)
    return;
  if (now_ms < news_due_ms_) {  // this tick was not the one
    sink.tick_due_ms = std::min(sink.tick_due_ms, news_due_ms_);
    return;
  }
  news_due_ms_ = 0;
  raft_core::updates updates;
  for (const auto& m : core_->members().members)
    if (const auto sent = commit_sent_.find(m.id);
        sent != commit_sent_.end() && sent->second < core_->commit_index())
      core_->tell_commit(m.id, updates);
  take(now_ms, std::move(updates), sink);
}

/// What a leader does beside the core.
void raft_group::settle(std::uint64_t now_ms, group_sink sink) {
  if (leading_term_ != 0)
    drive_transfer(now_ms, sink);
  if (leading_term_ != 0)
    drive_change(now_ms, sink);
}

// ---- log
// -------------------------------------------------------------------------------------------------

/// Who is fetching a snapshot goes on behind that. If the log did not, it would need another one,
/// without end: so this entry and all after it are kept, until such members have caught up, are
/// silent, or cost too much.
std::uint64_t raft_group::held_from(std::uint64_t now_ms) {
  const auto& log = core_->log();
  const auto times = options_.trailing_held_times_max;
  if (log.last() + 1 - log.first() > times * options_.trailing_entries ||
      log.bytes() > times * options_.trailing_bytes)
    fetching_.clear();
  auto from = std::numeric_limits<std::uint64_t>::max();
  for (auto at = fetching_.begin(); at != fetching_.end();) {
    const auto [index, offered_ms] = at->second;
    const auto next = std::max(index, core_->match_index(at->first));
    const auto heard_ms = std::max(offered_ms, contact_.of(at->first));
    if (next + 1 < log.first() || heard_ms + options_.core.install_snapshot_timeout_ms < now_ms) {
      at = fetching_.erase(at);
    } else {
      from = std::min(from, next);
      ++at;
    }
  }
  return from;
}

void raft_group::trim(std::uint64_t now_ms, group_sink sink) {
  const auto& log = core_->log();
  const auto index = std::min(applied_, core_->stored_index());
  if (core_->installing() || index <= log.snapshot().index)
    return;
  const auto behind = index + 1 - std::min(log.first(), index + 1);
  const bool many = behind >= options_.trailing_entries + options_.trim_step_entries;
  const bool large = log.bytes() > options_.trailing_bytes + options_.trailing_bytes / 4;
  if (!many && !large)
    return;
  const auto held = held_from(now_ms);
  std::uint64_t first = log.first();
  if (held < first + options_.trim_step_entries)
    return;
  for (std::size_t bytes = log.bytes();
       first <= index && first < held &&
       (index + 1 - first > options_.trailing_entries || bytes > options_.trailing_bytes);
       ++first)
    bytes -= log.at(first).data->size();
  if (first < held)
    std::erase_if(fetching_,
                  [&](const auto& one) { return core_->match_index(one.first) >= first; });
  if (first > log.first())
    trim_at(now_ms, index, first, sink);
}

void raft_group::trim_at(std::uint64_t now_ms, std::uint64_t index, std::uint64_t first_kept,
                         group_sink sink) {
  raft_core::updates updates;
  core_->trim(now_ms, index, first_kept, updates);
  auto& write = writes(sink, false);
  write.snapshot = core_->log().snapshot();
  write.erase_before = first_kept;
  take(now_ms, std::move(updates), sink);
}

}  // namespace holdfast::consensus
