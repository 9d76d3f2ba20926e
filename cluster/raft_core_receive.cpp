// What comes from outside: the stored state at the start, and the messages of peers. All of it is
// checked before libraft sees it.

#include "cluster/raft_engine.hpp"

namespace holdfast::consensus {

namespace {

constexpr std::uint64_t number_max = std::uint64_t{1} << 62;  // of terms and indexes

error refuse(std::string why) { return {errc::malformed, "consensus message: " + std::move(why)}; }

status check_stored(const stored_group& stored) {
  const auto corrupt = [](const char* why) {
    return error{errc::corrupt, std::string{"stored log of a group: "} + why};
  };
  const std::uint64_t last = stored.first_index + stored.entries.size() - 1;
  std::uint64_t term = 0;
  if (stored.snapshot) {
    const auto& s = *stored.snapshot;
    if (s.index == 0 || s.term == 0 || s.configuration_index > s.index || !check(s.members))
      return corrupt("its snapshot's metadata");
    if (stored.first_index > s.index + 1 || last < s.index || stored.applied < s.index)
      return corrupt("a gap after its snapshot");
    if (stored.entries.empty())
      term = s.term;
  } else if (stored.first_index != 1) {
    return corrupt("its beginning is missing");
  } else if (!stored.entries.empty() && stored.entries.front().kind != entry_kind::change) {
    return corrupt("it does not begin with a configuration");
  }
  for (const auto& e : stored.entries) {
    if (e.term == 0 || e.term < term || !e.data)
      return corrupt("terms out of order");
    if (e.kind == entry_kind::change && !decode_configuration(*e.data))
      return corrupt("a configuration does not parse");
    term = e.term;
  }
  if (stored.hard.term < term || (stored.hard.term == 0 && stored.hard.vote != 0))
    return corrupt("its term is older than its entries");
  if (stored.applied > last)
    return corrupt("its state is ahead of it");
  return ok_status();
}

}  // namespace

result<std::unique_ptr<raft_core>> raft_core::start(core_options options,
                                                    const stored_group& stored,
                                                    std::uint64_t now_ms, updates& out) {
  if (auto right = check_stored(stored); !right)
    return right.error();
  auto core = std::unique_ptr<raft_core>{new raft_core(options, stored)};
  core->hard_seen_ = stored.hard;
  if (options.workarounds.sole_voter_new_term && core->is_sole_voter()) {
    core->hard_seen_ = {stored.hard.term + 1, options.self};
    out.emplace_back().hard = core->hard_seen_;
  }
  step_input input{RAFT_START};
  auto& event = input.event.start;
  raft_snapshot_metadata metadata;
  if (stored.snapshot) {
    metadata = to_c(*stored.snapshot);
    event.metadata = &metadata;
  }
  event.term = core->hard_seen_.term;
  event.voted_for = core->hard_seen_.vote;
  event.start_index = stored.first_index;
  if (!stored.entries.empty())
    input.take(stored.entries.data(), stored.entries.size());
  event.entries = input.entries.data();
  event.n_entries = static_cast<unsigned>(input.entries.size());
  void* block = input.entries.empty() ? nullptr : input.entries.front().batch;
  HOLDFAST_ASSERT(core->step(input, now_ms, out) == 0, "consensus refused a checked stored state");
  raft_free(block);
  core->applied(now_ms, stored.applied, out);
  return core;
}

// ---- checks
// -------------------------------------------------------------------------------------------------

status raft_core::check_append(node_id from, const append_entries& body) const {
  if ((body.prev_log_index == 0) != (body.prev_log_term == 0) || body.prev_log_term > body.term)
    return refuse("a previous entry that cannot be");
  if (body.prev_log_index > number_max || body.leader_commit > number_max ||
      body.entries.size() > number_max)
    return refuse("an index that cannot be");
  if (body.term < term())
    return ok_status();  // answered, and not looked at
  if (body.term == term() && state() == core_state::leader)
    return refuse("entries of node " + std::to_string(from) + " in a term that this node leads");
  if (body.term == term() && state() == core_state::follower && leader() != 0 && leader() != from &&
      engine_->raft.follower_state.match != 0)
    return refuse("two leaders of one term");
  const auto contradicts = [&](std::uint64_t index, std::uint64_t other) {
    const auto mine = log_.term_at(index);
    return index <= commit_index() && mine != 0 && mine != other;
  };
  if (contradicts(body.prev_log_index, body.prev_log_term))
    return refuse("it contradicts a committed entry");
  std::uint64_t before = body.prev_log_term;
  std::uint64_t index = body.prev_log_index;
  for (const auto& e : body.entries) {
    ++index;
    if (!e.data || e.data->size() > options_.entry_bytes_max)
      return refuse("an entry that is too large");
    if (e.term == 0 || e.term < before || e.term > body.term)
      return refuse("terms out of order");
    if (e.kind == entry_kind::change
          ? !decode_configuration(*e.data)
          : index == 1 || (e.kind != entry_kind::command && e.kind != entry_kind::barrier))
      return refuse("not a configuration where one must be, or an unknown kind of entry");
    if (contradicts(index, e.term))
      return refuse("it contradicts a committed entry");
    before = e.term;
  }
  return ok_status();
}

status raft_core::check_message(node_id from, const message& body) const {
  if (from == 0 || from == options_.self)
    return refuse("from nobody, or from this node");
  const auto newer = term_of(body);
  if (newer == 0 || newer > number_max)
    return refuse("a term that cannot be");
  if (const auto* m = std::get_if<append_entries>(&body))
    return check_append(from, *m);
  if (const auto* m = std::get_if<append_entries_result>(&body)) {
    if (m->rejected > number_max || m->last_log_index > number_max)
      return refuse("an index that cannot be");
    if (!members().find(from))
      return refuse("an answer from node " + std::to_string(from) + ", which is not a member");
    if (m->term == term() && state() == core_state::leader && m->rejected == 0 &&
        m->last_log_index > log_.last())
      return refuse("it has more than the leader");
  } else if (const auto* v = std::get_if<request_vote>(&body)) {
    if (v->candidate != from || v->last_log_term > v->term ||
        (v->last_log_index == 0) != (v->last_log_term == 0))
      return refuse("a candidate that cannot be");
  } else if (std::holds_alternative<request_vote_result>(body)) {
    if (!members().find(from))
      return refuse("a vote of node " + std::to_string(from) + ", which is not a member");
  } else if (const auto* s = std::get_if<install_snapshot>(&body)) {
    const auto& data = s->metadata;
    if (data.index == 0 || data.index > number_max || data.term == 0 || data.term > s->term ||
        data.configuration_index > data.index || !check(data.members))
      return refuse("a snapshot that cannot be");
    if (s->term == term() && state() == core_state::leader)
      return refuse("a snapshot in a term that this node leads");
    const auto mine = log_.term_at(data.index);
    if (data.index <= commit_index() && mine != 0 && mine != data.term)
      return refuse("it contradicts a committed entry");
  }
  return ok_status();
}

// ---- messages
// -------------------------------------------------------------------------------------------------

status raft_core::receive(std::uint64_t now_ms, node_id from, const message& body, updates& out) {
  if (auto right = check_message(from, body); !right)
    return right;
  if (const auto* m = std::get_if<append_entries>(&body)) {
    if (options_.workarounds.skip_trimmed && m->term >= term() && !installing() &&
        m->prev_log_index + 1 < log_.first())
      receive_append(now_ms, from, without_committed(*m), out);
    else
      receive_append(now_ms, from, *m, out);
    return ok_status();
  }
  if (const auto* m = std::get_if<install_snapshot>(&body)) {
    receive_snapshot(now_ms, from, *m, out);
    return ok_status();
  }
  step_input input{RAFT_RECEIVE};
  auto& c = input.message;
  input.address(from);
  if (const auto* m = std::get_if<append_entries_result>(&body)) {
    c.type = RAFT_APPEND_ENTRIES_RESULT;
    c.append_entries_result.version = 1;
    c.append_entries_result.term = m->term;
    // Overtaken by a success it says nothing but that the member is there.
    const bool late = options_.workarounds.ignore_late_rejection && m->rejected != 0 &&
                      m->rejected <= match_index(from);
    c.append_entries_result.rejected = late ? 0 : m->rejected;
    c.append_entries_result.last_log_index = late ? 0 : m->last_log_index;
  } else if (const auto* v = std::get_if<request_vote>(&body)) {
    c.type = RAFT_REQUEST_VOTE;
    c.request_vote.version = 2;
    c.request_vote.term = v->term;
    c.request_vote.candidate_id = v->candidate;
    c.request_vote.last_log_index = v->last_log_index;
    c.request_vote.last_log_term = v->last_log_term;
    c.request_vote.disrupt_leader = v->disrupt_leader;
    c.request_vote.pre_vote = v->pre_vote;
  } else if (const auto* r = std::get_if<request_vote_result>(&body)) {
    // libraft reads a candidate's fields before it looks whether it is one; and a pre-vote's answer
    // has a term that nobody may be in.
    if (state() != core_state::candidate ||
        engine_->raft.candidate_state.in_pre_vote != r->pre_vote)
      return ok_status();
    c.type = RAFT_REQUEST_VOTE_RESULT;
    c.request_vote_result.version = 2;
    c.request_vote_result.term = r->term;
    c.request_vote_result.vote_granted = r->granted;
    c.request_vote_result.pre_vote = r->pre_vote;
  } else if (const auto* t = std::get_if<timeout_now>(&body)) {
    if (options_.workarounds.sole_voter_new_term && is_sole_voter())
      return ok_status();  // it will lead by itself, in a new term
    c.type = RAFT_TIMEOUT_NOW;
    c.timeout_now.term = t->term;
    c.timeout_now.last_log_index = t->last_log_index;
    c.timeout_now.last_log_term = t->last_log_term;
    disrupt_term_ = t->term + 1;
  }
  auto* learner = c.type == RAFT_REQUEST_VOTE ? engine_->learner(options_) : nullptr;
  const int role_known = learner ? learner->role : 0;
  if (learner)
    learner->role = RAFT_VOTER;  // for this step: whose vote counts is what the candidate knows
  HOLDFAST_ASSERT(step(input, now_ms, out) == 0, "consensus refused a checked message");
  if (learner)
    learner->role = role_known;
  return ok_status();
}

/// A leader's log begins with all that is committed here, so what it sent of that, late, needs no
/// look. Our own term stands in where its entry is not in the message.
append_entries raft_core::without_committed(const append_entries& body) const {
  append_entries out = body;
  const auto end = body.prev_log_index + body.entries.size();
  const auto skipped = std::min<std::uint64_t>(end, commit_index()) - body.prev_log_index;
  out.entries.erase(out.entries.begin(),
                    out.entries.begin() + static_cast<std::ptrdiff_t>(skipped));
  out.prev_log_index = commit_index();
  out.prev_log_term = log_.term_at(commit_index());
  return out;
}

/// In parts, each of which begins with the first entry or with a configuration.
void raft_core::receive_append(std::uint64_t now_ms, node_id from, const append_entries& body,
                               updates& out) {
  std::size_t begin = 0;
  do {
    std::size_t end = begin + 1;
    while (end < body.entries.size() &&
           (body.entries[end].kind != entry_kind::change || !options_.workarounds.split_changes))
      ++end;
    end = std::min(end, body.entries.size());
    if (!receive_part(now_ms, from, body, begin, end, out))
      return;
    begin = end;
  } while (begin < body.entries.size());
}

/// False when it was rejected, as the parts behind it would be.
bool raft_core::receive_part(std::uint64_t now_ms, node_id from, const append_entries& body,
                             std::size_t begin, std::size_t end, updates& out) {
  settle_previous_change(now_ms, body, begin, out);
  step_input input{RAFT_RECEIVE};
  input.address(from);
  input.stale = body.term < term();
  input.message.type = RAFT_APPEND_ENTRIES;
  auto& c = input.message.append_entries;
  c.term = body.term;
  c.prev_log_index = body.prev_log_index + begin;
  c.prev_log_term = begin == 0 ? body.prev_log_term : body.entries[begin - 1].term;
  c.leader_commit = std::min<std::uint64_t>(body.leader_commit, body.prev_log_index + end);
  if (begin < end) {
    input.take(body.entries.data() + begin, end - begin);
    c.entries = input.entries.data();
    c.n_entries = static_cast<unsigned>(input.entries.size());
  }
  HOLDFAST_ASSERT(step(input, now_ms, out) == 0, "consensus refused checked entries");
  for (const auto& m : out.back().messages)
    if (const auto* r = std::get_if<append_entries_result>(&m.body); r && r->rejected != 0)
      return false;
  return !input.stale && !installing();
}

/// A leader proposes a change only after the one before is committed. So when a new one fits our
/// log, ours is.
void raft_core::settle_previous_change(std::uint64_t now_ms, const append_entries& body,
                                       std::size_t begin, updates& out) {
  const auto waiting = engine_->raft.configuration_uncommitted_index;
  if (!options_.workarounds.settle_previous_change || waiting == 0 || body.term < term() ||
      installing() || begin >= body.entries.size() ||
      body.entries[begin].kind != entry_kind::change)
    return;
  const auto index = body.prev_log_index + begin + 1;
  const auto before = begin == 0 ? body.prev_log_term : body.entries[begin - 1].term;
  if (waiting < index && log_.term_at(index - 1) == before && before != 0 &&
      state() == core_state::follower)
    settle_change(now_ms, out);
}

void raft_core::receive_snapshot(std::uint64_t now_ms, node_id from, const install_snapshot& body,
                                 updates& out) {
  step_input input{RAFT_RECEIVE};
  input.address(from);
  input.stale = body.term < term();
  input.snapshot = &body;
  input.message.type = RAFT_INSTALL_SNAPSHOT;
  auto& c = input.message.install_snapshot;
  c.term = body.term;
  c.last_index = body.metadata.index;
  c.last_term = body.metadata.term;
  c.conf = to_c(body.metadata.members);
  c.conf_index = body.metadata.configuration_index;
  c.data.base = raft_malloc(1);
  c.data.len = 1;
  HOLDFAST_ASSERT(c.data.base, "out of memory");
  const bool busy = installing() && !input.stale;
  HOLDFAST_ASSERT(step(input, now_ms, out) == 0, "consensus refused a checked snapshot");
  if (busy) {  // libraft drops the message and forgets its memory
    raft_free(c.data.base);
    raft_configuration_close(&c.conf);
  }
}

}  // namespace holdfast::consensus
