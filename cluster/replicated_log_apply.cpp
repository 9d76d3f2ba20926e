// What the nodes have agreed on: committed entries are applied, leadership begins and ends.

#include <algorithm>

#include "cluster/replicated_log.hpp"
#include "persistence/kill_point.hpp"
#include "schemas/codec.hpp"

namespace holdfast {

namespace {

void append(std::vector<std::shared_ptr<const turn_record>>& to,
            std::vector<std::shared_ptr<const turn_record>>&& what) {
  to.insert(to.end(), std::make_move_iterator(what.begin()), std::make_move_iterator(what.end()));
}

}  // namespace

bool replicated_log::handle(const std::vector<consensus::event>& events) {
  for (const auto& e : events) {
    if (const auto* entries = std::get_if<consensus::entries_committed>(&e)) {
      for (std::size_t done = 0; done < entries->entries.size();)
        if (!apply(*entries, done))
          return false;
      continue;
    }
    if (!write_applied())
      return false;
    if (const auto* won = std::get_if<consensus::leadership_gained>(&e))
      gained(*won);
    else if (const auto* over = std::get_if<consensus::leadership_lost>(&e))
      lost(*over);
    else if (const auto* state = std::get_if<consensus::snapshot_wanted>(&e))
      wanted(*state);
    else if (const auto* behind = std::get_if<consensus::install_wanted>(&e))
      snapshots_.fetch(*behind);
    else if (const auto* stayed = std::get_if<consensus::transfer_failed>(&e))
      groups_.at(stayed->group).pauses.failed(stayed->to, now_ms_);
  }
  return write_applied();
}

void replicated_log::gained(const consensus::leadership_gained& what) {
  auto& g = groups_.at(what.group);
  g.led_term = what.term;
  g.first_own = 0;
  propose_first(what.group, g);
}

void replicated_log::lost(const consensus::leadership_lost& what) {
  auto& g = groups_.at(what.group);
  inbox_.close(what.group);  // nothing is taken for this term from here on
  published_.lose(what.group);
  release(g.proposals.drop_all());
  g.led_term = g.first_own = 0;
  if (std::exchange(g.listening, false))
    listener_.lost(what.group, what.term, errc::unknown_outcome);
}

/// From `done` on, which is moved behind: to the end, or behind a backup cut, which is the last of its write. False: the
/// store failed.
bool replicated_log::apply(const consensus::entries_committed& what, std::size_t& done) {
  auto& g = groups_.at(what.group);
  const bool is_there = std::any_of(applied_.begin(), applied_.end(),
                                    [&](const auto& one) { return one.group == what.group; });
  // What is written together is read by nobody in between.
  if (is_there && !write_applied())
    return false;
  applied_entries out;
  out.group = what.group;
  std::vector<std::shared_ptr<const turn_record>> all;
  std::uint64_t term = 0;
  while (done < what.entries.size() && out.cut == 0) {
    const auto index = what.first + done;
    const auto& e = what.entries[done++];
    if (index <= g.applied)
      continue;
    out.last = index;
    term = e.term;
    if (e.kind != consensus::entry_kind::command)
      continue;
    if (auto mine = g.proposals.take(index)) {
      HOLDFAST_ASSERT(e.term == g.led_term, "another entry at the index of a proposal");
      out.settled.records += mine->records.size();
      out.settled.bytes += mine->bytes;
      all.insert(all.end(), mine->records.begin(), mine->records.end());
      append(out.own, std::move(mine->records));
      out.cut = all.empty() ? 0 : cut_epoch(*all.back());
      continue;
    }
    auto decoded = codec::decode_entry(*e.data);
    HOLDFAST_ASSERT(decoded, "a committed entry does not parse");
    for (auto& record : decoded->records) {
      all.push_back(std::make_shared<const turn_record>(std::move(record)));
      out.followed.push_back(all.back());
    }
    out.cut = all.empty() ? 0 : cut_epoch(*all.back());
  }
  if (out.last == 0)
    return true;
  if (!all.empty())
    machine_.apply(store_, what.group, out.last, all, writes_);
  consensus::put_applied(what.group, out.last, term, writes_);
  const bool is_cut = out.cut != 0;
  applied_.push_back(std::move(out));
  return !is_cut || write_applied();
}

/// Not synced: the log holds what it says, and is read again after a crash.
bool replicated_log::write_applied() {
  if (applied_.empty())
    return true;
  kill_point("apply.before");
  if (auto written = store_.write(writes_, false); !written) {
    fail(written.error());
    return false;
  }
  kill_point("apply.after");
  bytes_.fetch_add(writes_.bytes(), std::memory_order_relaxed);
  writes_.clear();
  tell_applied();
  return true;
}

void replicated_log::tell_applied() {
  for (auto& one : std::exchange(applied_, {})) {
    auto& g = groups_.at(one.group);
    g.applied = one.last;
    records_.fetch_add(one.own.size() + one.followed.size(), std::memory_order_relaxed);
    host_->applied(now_ms_, one.group, one.last);
    release(one.settled);
    if (one.cut != 0)
      listener_.cut(one.group, one.cut, one.last);
    if (!one.followed.empty())  // before others see the index: what follows from it is under way
      listener_.followed(one.group, one.last, std::move(one.followed));
    published_.apply(one.group, one.last);
    if (!one.own.empty())
      listener_.committed(one.group, g.led_term, one.last, std::move(one.own));
    if (!g.listening && g.first_own != 0 && one.last >= g.first_own) {
      g.listening = true;
      published_.lead(one.group, g.led_term);
      inbox_.open(one.group, g.led_term);
      publish();
      listener_.leading(one.group, g.led_term);
    }
  }
}

}  // namespace holdfast
