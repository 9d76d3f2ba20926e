#include "tests/consensus/sim_disk.hpp"

#include <algorithm>
#include <cstring>

namespace holdfast::sim {

std::uint64_t hash_of(const consensus::entry& e) {
  std::uint64_t h = mix(e.term, static_cast<std::uint64_t>(e.kind) + e.data->size() * 8);
  for (std::size_t at = 0; at < e.data->size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, e.data->data() + at, std::min<std::size_t>(8, e.data->size() - at));
    h = mix(h, word);
  }
  return h;
}

std::uint64_t command_id(const consensus::entry& e) {
  std::uint64_t id = 0;
  if (e.kind == consensus::entry_kind::command && e.data->size() >= 8)
    std::memcpy(&id, e.data->data(), 8);
  return id;
}

void machine::apply(std::uint64_t index, const consensus::entry& e) {
  if (index != applied + 1)
    throw violation("entries are applied with a gap");
  applied = index;
  hash = mix(hash, hash_of(e));
  if (const auto id = command_id(e); id != 0)
    ids.insert(id);
}

void key_store::write(const consensus::log_write& w) {
  constexpr std::size_t erases_max = 3;  // few, so that there nearly always are leftovers
  write_set out;
  consensus::erase_budget budget{erases_max};
  consensus::put(w, ranges_[w.group], out, budget);
  if (w.install)
    consensus::put_applied(w.group, w.snapshot->index, w.snapshot->term, out);
  if (!db_->write(out, true))
    throw violation("a store in memory failed");
}

void key_store::applied(group_id group, std::uint64_t index, std::uint64_t term) {
  write_set out;
  consensus::put_applied(group, index, term, out);
  if (!db_->write(out, true))
    throw violation("a store in memory failed");
}

void key_store::check(group_id group, const consensus::stored_group& expected) {
  auto loaded = consensus::load(*db_, group);
  if (!loaded)
    throw violation("raft_store: " + loaded.error().context);
  const auto& found = loaded->stored;
  const auto same_entry = [](const consensus::entry& a, const consensus::entry& b) {
    return a.term == b.term && a.kind == b.kind && *a.data == *b.data;
  };
  if (found.hard != expected.hard || found.snapshot != expected.snapshot ||
      found.first_index != expected.first_index || found.applied != expected.applied ||
      !std::equal(found.entries.begin(), found.entries.end(), expected.entries.begin(),
                  expected.entries.end(), same_entry))
    throw violation("raft_store reads another group than was written");
  ranges_[group] = std::move(loaded->range);
}

void disk::create(group_id group, const consensus::stored_group& from) {
  auto& s = durable_[group];
  s.hard = from.hard;
  s.entries.assign(from.entries.begin(), from.entries.end());
  if (planted_ == defect::none) {
    consensus::log_write first;
    first.group = group;
    first.hard = from.hard;
    first.first = from.first_index;
    first.entries = from.entries;
    keys_.write(first);
  }
}

void disk::write(consensus::write_batch batch, std::map<std::uint64_t, machine> states) {
  if (batch.number <= written_)
    throw violation("batches are not in order");
  written_ = batch.number;
  waiting_.emplace_back(batch_write{std::move(batch), std::move(states)});
}

void disk::write(applied_write applied) {
  if (planted_ == defect::applied_not_in_order) {
    redo(record{std::move(applied)});
    return;
  }
  waiting_.emplace_back(std::move(applied));
}

void disk::sync_to(std::uint64_t mark) {
  for (; base_ < mark; ++base_) {
    redo(waiting_.front());
    waiting_.pop_front();
  }
}

std::size_t disk::crash(chance& luck) {
  sync_to(base_ + luck.below(waiting_.size() + 1));
  const auto lost = waiting_.size();
  base_ += lost;
  waiting_.clear();
  written_ = 0;  // the next life counts from 1
  return lost;
}

void disk::redo(const record& r) {
  if (const auto* b = std::get_if<batch_write>(&r)) {
    for (const auto& w : b->batch.writes)
      redo(w, b->states);
    return;
  }
  const auto& a = std::get<applied_write>(r);
  auto& s = durable_[a.group];
  for (std::size_t i = 0; i < a.entries.size(); ++i)
    if (a.first + i > s.state.applied) {
      s.state.apply(a.first + i, a.entries[i]);
      if (planted_ == defect::none)
        keys_.applied(a.group, a.first + i, a.entries[i].term);
    }
}

void disk::redo(const consensus::log_write& w, const std::map<std::uint64_t, machine>& states) {
  if (planted_ == defect::none)
    keys_.write(w);
  auto& s = durable_[w.group];
  if (w.hard && planted_ != defect::vote_not_stored)
    s.hard = *w.hard;
  if (w.install) {
    s.state = states.at(*w.install);
    if (planted_ != defect::install_keeps_log) {
      s.entries.clear();
      s.first = w.snapshot->index + 1;
    }
  }
  if (w.snapshot)
    s.snapshot = w.snapshot;
  const auto erase_from = [&](std::uint64_t index) {
    while (s.first + s.entries.size() > index)
      s.entries.pop_back();
  };
  if (w.truncate_from != 0 && planted_ != defect::tail_not_truncated)
    erase_from(w.truncate_from);
  for (std::size_t i = 0; i < w.entries.size(); ++i) {
    const auto at = w.first + i;
    if (at < s.first + s.entries.size() && planted_ != defect::none && at >= s.first)
      s.entries[at - s.first] = w.entries[i];
    else if (at == s.first + s.entries.size())
      s.entries.push_back(w.entries[i]);
    else
      throw violation("entries are written with a gap, or over others");
  }
  for (; s.first < w.erase_before; ++s.first)
    s.entries.pop_front();
}

consensus::stored_group disk::load(group_id group) {
  consensus::stored_group out;
  const auto found = durable_.find(group);
  if (found == durable_.end())
    return out;
  const auto& s = found->second;
  out.hard = s.hard;
  out.snapshot = s.snapshot;
  out.first_index = s.first;
  out.entries.assign(s.entries.begin(), s.entries.end());
  out.applied = s.state.applied;
  if (planted_ == defect::none)
    keys_.check(group, out);
  return out;
}

const machine& disk::state(group_id group) const {
  static const machine none;
  const auto found = durable_.find(group);
  return found == durable_.end() ? none : found->second.state;
}

}  // namespace holdfast::sim
