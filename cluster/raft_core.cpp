#include "cluster/raft_core.hpp"

#include <algorithm>
#include <cstring>

#include "cluster/raft_engine.hpp"
#include "cluster/raft_turn.hpp"

namespace holdfast::consensus {

raft_core::raft_core(core_options options, const stored_group& stored)
  : options_(options), log_(stored), engine_(std::make_unique<engine>(options)) {}

raft_core::~raft_core() = default;

core_state raft_core::state() const noexcept {
  switch (raft_state(&engine_->raft)) {
    case RAFT_LEADER:
      return core_state::leader;
    case RAFT_CANDIDATE:
      return core_state::candidate;
    default:
      return core_state::follower;
  }
}

std::uint64_t raft_core::term() const noexcept { return raft_current_term(&engine_->raft); }

hard_state raft_core::hard() const noexcept { return {term(), raft_voted_for(&engine_->raft)}; }

node_id raft_core::leader() const noexcept {
  raft_id id = 0;
  const char* address = nullptr;
  raft_leader(&engine_->raft, &id, &address);
  return id;
}

std::uint64_t raft_core::commit_index() const noexcept { return raft_commit_index(&engine_->raft); }

std::uint64_t raft_core::stored_index() const noexcept { return engine_->raft.last_stored; }

std::uint64_t raft_core::match_index(node_id member) const noexcept {
  raft_index index = 0;
  return raft_match_index(&engine_->raft, member, &index) == 0 ? index : 0;
}

bool raft_core::installing() const noexcept { return engine_->raft.snapshot.installing; }

bool raft_core::is_sole_voter() const noexcept {
  return members().voters() == 1 && members().is_voter(options_.self);
}

raft_core::catch_up_state raft_core::catch_up_of(node_id member) const noexcept {
  int found = RAFT_CATCH_UP_NONE;
  if (raft_catch_up(&engine_->raft, member, &found) != 0)
    return catch_up_state::none;
  return static_cast<catch_up_state>(found);
}

bool raft_core::can_change() const noexcept {
  const auto& raft = engine_->raft;
  return state() == core_state::leader && raft.configuration_uncommitted_index == 0 &&
         raft.leader_state.promotee_id == 0 && raft.leader_state.transferee == 0 &&
         log_.term_at(commit_index()) == term();
}

/// What libraft relies on and does not check, and what we rely on: our picture of the group is its
/// picture.
void raft_core::check_invariants() const {
  const auto& raft = engine_->raft;
  HOLDFAST_ASSERT(raft_last_index(&engine_->raft) == log_.last(), "two opinions of the last index");
  HOLDFAST_ASSERT(raft.trail.offset + 1 == log_.first(), "two opinions of the first index");
  HOLDFAST_ASSERT(raft.last_stored <= log_.last(), "durable beyond the end of the log");
  HOLDFAST_ASSERT(installing() || raft.configuration.n == members().members.size(),
                  "two opinions of the members");
  HOLDFAST_ASSERT(installing() || raft.configuration_uncommitted_index == 0 ||
                    raft.configuration_uncommitted_index == log_.configuration_newest().index,
                  "two opinions of where the members changed");
  HOLDFAST_ASSERT(
    raft.state == RAFT_FOLLOWER || raft.state == RAFT_CANDIDATE || raft.state == RAFT_LEADER,
    "a state that does not exist");
  HOLDFAST_ASSERT(raft.state != RAFT_CANDIDATE || raft.last_stored == log_.last(),
                  "a candidate with entries that are not durable");
  HOLDFAST_ASSERT(raft.state == RAFT_FOLLOWER || !raft.snapshot.installing,
                  "only a follower installs a snapshot");
}

// ---- one step
// -------------------------------------------------------------------------------------------------

/// Gives libraft's refusal, or 0 and one more update.
int raft_core::step(step_input& input, std::uint64_t now_ms, updates& out) {
  HOLDFAST_ASSERT(now_ms >= now_ms_, "the steady clock went back");
  now_ms_ = now_ms;
  auto& raft = engine_->raft;
  input.event.time = now_ms;
  raft_update update{};
  if (const int refused = raft_step(&raft, &input.event, &update); refused != 0) {
    HOLDFAST_ASSERT(refused != RAFT_NOMEM, "out of memory in consensus");
    return refused;
  }
  core_update taken;
  if (update.flags & (RAFT_UPDATE_CURRENT_TERM | RAFT_UPDATE_VOTED_FOR)) {
    const auto next = hard();
    HOLDFAST_ASSERT(
      next.term > hard_seen_.term ||
        (next.term == hard_seen_.term && (hard_seen_.vote == 0 || next.vote == hard_seen_.vote)),
      "a term went back, or a vote changed");
    if (!(next == hard_seen_))
      taken.hard = next;
    hard_seen_ = next;
  }
  HOLDFAST_ASSERT(hard() == hard_seen_, "a term or a vote changed silently");
  if (update.flags & RAFT_UPDATE_ENTRIES)
    take_entries(input, &update, taken);
  if (update.flags & RAFT_UPDATE_SNAPSHOT) {
    HOLDFAST_ASSERT(input.snapshot && !installing_, "a snapshot out of nowhere");
    raft_free(update.snapshot.chunk.base);
    raft_configuration_close(&update.snapshot.metadata.configuration);
    installing_ =
      core_update::install{input.from, input.snapshot->snapshot_id, input.snapshot->metadata,
                           std::make_shared<const raft_log>(log_)};
    log_.install(input.snapshot->metadata);
    taken.installed = installing_;
  }
  if (update.flags & RAFT_UPDATE_MESSAGES)
    take_messages(input, &update, taken);
  const auto commit = commit_index();
  HOLDFAST_ASSERT(commit >= commit_seen_ && commit <= log_.last(), "commit went back, or too far");
  commit_seen_ = commit;
  check_invariants();
  out.push_back(std::move(taken));
  return 0;
}

/// libraft hands back the very array it was given, from some entry on; the memory behind it is ours
/// to free.
void raft_core::take_entries(const step_input& input, const void* from, core_update& out) {
  const auto& update = *static_cast<const raft_update*>(from);
  const std::uint64_t first = update.entries.index;
  HOLDFAST_ASSERT(update.entries.n > 0 && first >= log_.first() && first <= log_.last() + 1 &&
                    first > commit_seen_,
                  "appended with a gap, or over committed entries");
  core_update::append appended{first, first <= log_.last(), {}};
  if (update.entries.batch == &engine_->raft.barrier) {
    appended.entries.push_back({engine_->raft.barrier.term, entry_kind::barrier,
                                std::make_shared<const std::string>(8, '\0')});
  } else {
    const auto skipped = static_cast<std::size_t>(update.entries.batch - input.entries.data());
    HOLDFAST_ASSERT(skipped + update.entries.n == input.entries.size() && input.given,
                    "appended what was not given");
    appended.entries.assign(input.given + skipped, input.given + input.entries.size());
  }
  raft_free(update.entries.batch[0].batch);
  if (appended.truncates)
    log_.truncate(first);
  for (const auto& e : appended.entries) {
    HOLDFAST_ASSERT(e.term >= log_.term_at(log_.last()) && e.term <= term(), "a term went back");
    log_.append(e);
  }
  out.appended = std::move(appended);
}

void raft_core::take_messages(const step_input& input, const void* from, core_update& out) {
  const auto& update = *static_cast<const raft_update*>(from);
  const auto& fix = options_.workarounds;
  for (unsigned i = 0; i < update.messages.n; ++i) {
    const auto& m = update.messages.batch[i];
    const node_id to = m.server_id;
    switch (m.type) {
      case RAFT_APPEND_ENTRIES: {
        const auto& b = m.append_entries;
        HOLDFAST_ASSERT(b.prev_log_index == 0 || b.prev_log_term == log_.term_at(b.prev_log_index),
                        "entries sent after one that is not known");
        add_append_entries(
          out, to, {b.term, b.prev_log_index, b.prev_log_term, b.leader_commit, now_ms_, {}},
          b.n_entries);
        break;
      }
      case RAFT_APPEND_ENTRIES_RESULT: {
        const auto& b = m.append_entries_result;
        const bool stale = input.stale && fix.clear_stale_index;
        out.messages.push_back(
          {to, append_entries_result{b.term, b.rejected, stale ? 0 : b.last_log_index, 0}});
        break;
      }
      case RAFT_REQUEST_VOTE: {
        const auto& b = m.request_vote;
        const bool permitted = !fix.disrupt_once || b.term == disrupt_term_;
        out.messages.push_back(
          {to, request_vote{b.term, b.candidate_id, b.last_log_index, b.last_log_term,
                            b.disrupt_leader && permitted, b.pre_vote}});
        break;
      }
      case RAFT_REQUEST_VOTE_RESULT: {
        const auto& b = m.request_vote_result;
        request_vote_result answer{b.term, b.vote_granted, b.pre_vote};
        if (fix.tell_term_to_pre_candidate && b.pre_vote && !b.vote_granted)
          answer.term = std::max<std::uint64_t>(answer.term, term());
        out.messages.push_back({to, answer});
        break;
      }
      case RAFT_INSTALL_SNAPSHOT: {
        const auto& b = m.install_snapshot;
        out.messages.push_back(
          {to, install_snapshot{b.term, now_ms_, 0, {b.last_index, b.last_term, {}, 0}}});
        break;
      }
      case RAFT_TIMEOUT_NOW: {
        const auto& b = m.timeout_now;
        out.messages.push_back({to, timeout_now{b.term, b.last_log_index, b.last_log_term}});
        break;
      }
    }
  }
}

/// As several messages when they are large: each stands alone, so nothing is lost when one is.
void raft_core::add_append_entries(core_update& out, node_id to, append_entries head,
                                   std::size_t count) const {
  std::uint64_t next = head.prev_log_index + 1;
  const std::uint64_t end = next + count;
  do {
    append_entries part{head.term,          next - 1,      next == 1 ? 0 : log_.term_at(next - 1),
                        head.leader_commit, head.clock_ms, {}};
    for (std::size_t bytes = 0; next < end; ++next) {
      const auto& e = log_.at(next);
      bytes += e.data->size();
      if (!part.entries.empty() && bytes > options_.message_bytes_max)
        break;
      part.entries.push_back(e);
    }
    out.messages.push_back({to, std::move(part)});
  } while (next < end);
}

// ---- events of this node
// ---------------------------------------------------------------------------------------------

/// This node's vote is for itself, so nobody else leads in the new term.
void raft_core::enter_new_term(updates& out) {
  auto& raft = engine_->raft;
  raft.current_term += 1;
  raft.voted_for = options_.self;
  if (raft.state == RAFT_FOLLOWER)
    raft.follower_state.match = 0;  // nothing is known of the new term's leader
  hard_seen_ = hard();
  out.emplace_back().hard = hard_seen_;
}

/// Who has heard nothing of the leader for an election timeout may vote for another (the leader
/// counts on no more, raft_lease.hpp), where libraft waits until it stands itself; and it stands
/// when its turn comes. A candidate that was not elected waits by lot alone, as in Raft: two of them that take turns would
/// go on to split the votes.
void raft_core::take_turn(std::uint64_t now_ms) {
  auto& raft = engine_->raft;
  if (raft.state != RAFT_FOLLOWER || !members().is_voter(options_.self))
    return;
  auto& wait_ms = raft.follower_state.randomized_election_timeout;
  if (leader() != 0)
    gone_ = leader();
  if (wait_ms != wait_ms_)
    lot_ = wait_ms - options_.election_timeout_ms;
  const auto turn = election_turn(options_.group, members(), options_.self, gone_);
  wait_ms = wait_ms_ = election_wait_ms(options_.election_timeout_ms, turn, lot_);
  if (!installing() && now_ms >= raft.election_timer_start + options_.election_timeout_ms)
    forget_leader();
}

void raft_core::forget_leader() {
  auto& gone = engine_->raft.follower_state.current_leader;
  raft_free(gone.address);
  gone = {};
}

void raft_core::tick(std::uint64_t now_ms, updates& out) {
  auto& raft = engine_->raft;
  take_turn(now_ms);
  if (now_ms < raft_timeout(&raft))
    return;
  if (options_.workarounds.sole_voter_new_term && raft.state == RAFT_FOLLOWER && is_sole_voter() &&
      !installing() && raft.last_stored == log_.last())
    enter_new_term(out);
  if (options_.workarounds.learners_vote && raft.state == RAFT_FOLLOWER &&
      !members().is_voter(options_.self))
    forget_leader();
  step_input input{RAFT_TIMEOUT};
  HOLDFAST_ASSERT(step(input, now_ms, out) == 0, "consensus refused the time");
}

void raft_core::persisted(std::uint64_t now_ms, std::uint64_t index, updates& out) {
  HOLDFAST_ASSERT(log_.holds(index) && index > stored_index() && !installing() &&
                    state() != core_state::candidate,
                  "durable entries that nobody waits for");
  step_input input{RAFT_PERSISTED_ENTRIES};
  input.event.persisted_entries.index = index;
  HOLDFAST_ASSERT(step(input, now_ms, out) == 0, "consensus refused durable entries");
}

void raft_core::snapshot_persisted(std::uint64_t now_ms, updates& out) {
  HOLDFAST_ASSERT(installing() && installing_, "a durable snapshot that nobody waits for");
  step_input input{RAFT_PERSISTED_SNAPSHOT};
  input.event.persisted_snapshot.metadata = to_c(installing_->metadata);
  input.event.persisted_snapshot.last = true;
  installing_.reset();
  HOLDFAST_ASSERT(step(input, now_ms, out) == 0, "consensus refused a durable snapshot");
}

/// The newest change is committed: it becomes the one to go back to.
void raft_core::settle_change(std::uint64_t now_ms, updates& out) {
  step_input input{RAFT_CONFIGURATION};
  input.event.configuration.index = engine_->raft.configuration_uncommitted_index;
  input.event.configuration.conf = to_c(members());
  HOLDFAST_ASSERT(step(input, now_ms, out) == 0, "consensus refused a committed configuration");
}

void raft_core::applied(std::uint64_t now_ms, std::uint64_t index, updates& out) {
  const auto waiting = engine_->raft.configuration_uncommitted_index;
  if (waiting != 0 && waiting <= index && !installing())
    settle_change(now_ms, out);
}

void raft_core::trim(std::uint64_t now_ms, std::uint64_t index, std::uint64_t first_kept,
                     updates& out) {
  HOLDFAST_ASSERT(!installing() && index > log_.snapshot().index && index <= log_.last() &&
                    first_kept >= log_.first() && first_kept <= index + 1,
                  "trimmed outside the log");
  log_.trim(index, first_kept);
  step_input input{RAFT_SNAPSHOT};
  input.event.snapshot.metadata = to_c(log_.snapshot());
  input.event.snapshot.trailing = static_cast<unsigned>(index + 1 - first_kept);
  HOLDFAST_ASSERT(step(input, now_ms, out) == 0, "consensus refused a snapshot");
}

void raft_core::tell_commit(node_id to, updates& out) const {
  const auto match = match_index(to);
  const auto match_term = log_.term_at(match);
  if (state() != core_state::leader || match < commit_index() || match_term == 0)
    return;
  out.emplace_back().messages.push_back(
    {to, append_entries{term(), match, match_term, commit_index(), now_ms_, {}}});
}

result<std::uint64_t> raft_core::submit(std::uint64_t now_ms, entry value, updates& out) {
  if (state() != core_state::leader || raft_transferee(&engine_->raft) != 0)
    return error{errc::not_leader, "this node does not lead the group"};
  step_input input{RAFT_SUBMIT};
  input.take(&value, 1);
  input.event.submit.entries = input.entries.data();
  input.event.submit.n = 1;
  HOLDFAST_ASSERT(step(input, now_ms, out) == 0, "consensus refused an entry");
  return log_.last();
}

result<std::uint64_t> raft_core::propose(std::uint64_t now_ms,
                                         std::shared_ptr<const std::string> data, updates& out) {
  HOLDFAST_ASSERT(data && data->size() <= options_.entry_bytes_max, "an entry is too large");
  return submit(now_ms, {term(), entry_kind::command, std::move(data)}, out);
}

result<std::uint64_t> raft_core::change(std::uint64_t now_ms, const configuration& next,
                                        updates& out) {
  if (state() != core_state::leader)
    return error{errc::not_leader, "this node does not lead the group"};
  if (!can_change())
    return error{errc::conflict, "another change of the group's members is under way"};
  std::size_t differences = 0;
  for (const auto& m : next.members)
    if (const auto* before = members().find(m.id); !before || !(*before == m))
      ++differences;
  for (const auto& m : members().members)
    if (!next.find(m.id))
      ++differences;
  HOLDFAST_ASSERT(differences == 1 && check(next), "members change one at a time");
  return submit(
    now_ms, {term(), entry_kind::change, std::make_shared<const std::string>(encode(next))}, out);
}

void raft_core::catch_up(std::uint64_t now_ms, node_id member, updates& out) {
  HOLDFAST_ASSERT(can_change() && members().find(member) && !members().is_voter(member),
                  "nobody who can catch up");
  step_input input{RAFT_CATCH_UP};
  input.event.catch_up.server_id = member;
  HOLDFAST_ASSERT(step(input, now_ms, out) == 0, "consensus refused to let a member catch up");
}

void raft_core::transfer(std::uint64_t now_ms, node_id to, updates& out) {
  HOLDFAST_ASSERT(state() == core_state::leader && raft_transferee(&engine_->raft) == 0 &&
                    to != options_.self && members().is_voter(to) && match_index(to) == log_.last(),
                  "nobody who can take over");
  step_input input{RAFT_TRANSFER};
  input.event.transfer.server_id = to;
  HOLDFAST_ASSERT(step(input, now_ms, out) == 0, "consensus refused to transfer leadership");
}

/// libraft has no such event; an answer from a newer term is what makes a leader step down.
void raft_core::abdicate(std::uint64_t now_ms, updates& out) {
  HOLDFAST_ASSERT(state() == core_state::leader, "only a leader can abdicate");
  step_input input{RAFT_RECEIVE};
  input.message.type = RAFT_APPEND_ENTRIES_RESULT;
  input.message.append_entries_result.term = term() + 1;
  input.address(options_.self);
  HOLDFAST_ASSERT(step(input, now_ms, out) == 0 && state() == core_state::follower,
                  "a leader did not step down");
}

}  // namespace holdfast::consensus
