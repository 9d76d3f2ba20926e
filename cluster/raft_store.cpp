#include "cluster/raft_store.hpp"

#include <algorithm>
#include <string>

#include "persistence/keys.hpp"
#include "persistence/log_state.hpp"
#include "schemas/codec_consensus.hpp"

namespace holdfast::consensus {

namespace {

constexpr std::uint64_t stored_index_max = std::uint64_t{1} << 62;  // as the core takes it

// ---- writing ------------------------------------------------------------------------------------

/// Out of the log, and stored until it is erased.
void leave_over(stored_range& range, std::uint64_t first, std::uint64_t last) {
  if (first > last)
    return;
  for (auto& before : range.leftovers)
    if (before.last + 1 == first) {
      before.last = last;
      return;
    }
  range.leftovers.push_back({first, last});
}

/// These were written again: they are in the log.
void take_back(stored_range& range, std::uint64_t first, std::uint64_t last) {
  std::vector<log_range> kept;
  for (const auto& l : range.leftovers) {
    if (l.first < first)
      kept.push_back({l.first, std::min(l.last, first - 1)});
    if (l.last > last)
      kept.push_back({std::max(l.first, last + 1), l.last});
  }
  range.leftovers = std::move(kept);
}

void put_entries(const log_write& write, stored_range& range, write_set& out) {
  if (write.entries.empty())
    return;
  auto& last = range.log.last;
  HOLDFAST_ASSERT(write.first == last + 1, "entries are written with a gap, or over others");
  for (const auto& e : write.entries)
    out.put(family::log, keys::log_entry(write.group, ++last), codec::encode(e));
  if (!range.leftovers.empty())
    take_back(range, write.first, last);
}

/// Says what is the log for as long as that cannot be told from the keys.
void mark(group_id group, stored_range& range, write_set& out) {
  const bool is_needed = !range.leftovers.empty();
  if (is_needed)
    out.put(family::meta, keys::log_range(group), codec::encode(range.log));
  else if (range.is_marked)
    out.erase(family::meta, keys::log_range(group));
  range.is_marked = is_needed;
}

// ---- reading ------------------------------------------------------------------------------------

error at_index(group_id group, std::uint64_t index, const error& why) {
  return {why.code, "group " + std::to_string(group) + ", log entry " + std::to_string(index) +
                      ": " + why.context};
}

error in_group(group_id group, std::string_view what, const error& why) {
  return {why.code,
          "group " + std::to_string(group) + ", " + std::string{what} + ": " + why.context};
}

/// A value of family::meta, when it is there.
template <class Decode>
auto read_meta(const reader& from, group_id group, std::string_view what, const std::string& key,
               Decode decode) {
  using value = std::decay_t<decltype(*decode(std::string_view{}))>;
  using found = result<std::optional<value>>;
  const auto stored = from.get(family::meta, key);
  if (!stored)
    return found{in_group(group, what, stored.error())};
  if (!*stored)
    return found{std::optional<value>{}};
  auto decoded = decode(std::string_view{**stored});
  if (!decoded)
    return found{in_group(group, what, decoded.error())};
  return found{std::optional<value>{std::move(*decoded)}};
}

status read_entries(const reader& from, group_id group, const std::optional<log_range>& marked,
                    loaded_group& out) {
  auto& entries = out.stored.entries;
  auto& log = out.range.log;
  const auto bounds = keys::log_entries(group);
  const auto at = from.scan(family::log, bounds.lower, bounds.upper);
  for (; at->valid(); at->next()) {
    const auto index = keys::log_entry_of(at->key());
    if (!index || *index == 0 || *index > stored_index_max)
      return in_group(group, "log", {errc::corrupt, "a key that is no entry's"});
    if (marked && (*index < marked->first || *index > marked->last)) {
      leave_over(out.range, *index, *index);
      continue;
    }
    if (entries.empty() && !marked)
      log = {*index, *index - 1};
    if (*index != log.last + 1)
      return at_index(group, log.last + 1,
                      {errc::corrupt, "missing; the next one is " + std::to_string(*index)});
    auto decoded = codec::decode_log_entry(at->value());
    if (!decoded)
      return at_index(group, *index, decoded.error());
    entries.push_back(std::move(*decoded));
    log.last = *index;
  }
  if (auto read = at->state(); !read)
    return in_group(group, "log", read.error());
  if (marked && log != *marked)
    return at_index(group, log.last + 1, {errc::corrupt, "missing at the end of the log"});
  return ok_status();
}

/// The state is that of this log: it has applied an entry that is there, or the snapshot's last.
status check_applied(group_id group, const loaded_group& loaded, const log_state& applied) {
  const auto& stored = loaded.stored;
  const auto& log = loaded.range.log;
  if (stored.snapshot && applied.applied < stored.snapshot->index)
    return at_index(group, stored.snapshot->index, {errc::corrupt, "in the snapshot, not applied"});
  std::uint64_t term = 0;
  if (applied.applied >= log.first && applied.applied <= log.last)
    term = stored.entries[applied.applied - log.first].term;
  else if (stored.snapshot && applied.applied == stored.snapshot->index)
    term = stored.snapshot->term;
  else if (applied.applied != 0)
    return at_index(group, applied.applied, {errc::corrupt, "applied, but not in the log"});
  if (term != applied.term)
    return at_index(group, applied.applied,
                    {errc::corrupt, "was applied in term " + std::to_string(applied.term) +
                                      " and is stored with term " + std::to_string(term)});
  return ok_status();
}

status check_beginning(group_id group, const loaded_group& loaded) {
  const auto before = loaded.stored.snapshot ? loaded.stored.snapshot->index : 0;
  const auto& log = loaded.range.log;
  if (log.first > before + 1)
    return at_index(group, before + 1,
                    {errc::corrupt, "missing; the log begins at " + std::to_string(log.first)});
  if (log.last < before)
    return at_index(group, log.last + 1,
                    {errc::corrupt, "missing; the log ends before its snapshot"});
  return ok_status();
}

}  // namespace

void put(const log_write& write, stored_range& range, write_set& out, erase_budget& budget) {
  auto& log = range.log;
  if (write.hard)
    out.put(family::meta, keys::hard_state(write.group), codec::encode(*write.hard));
  if (write.install) {
    HOLDFAST_ASSERT(write.snapshot, "a snapshot is installed with its metadata");
    leave_over(range, log.first, log.last);
    log = {write.snapshot->index + 1, write.snapshot->index};
  }
  if (write.snapshot)
    out.put(family::meta, keys::snapshot_metadata(write.group), codec::encode(*write.snapshot));
  if (write.truncate_from != 0 && write.truncate_from <= log.last) {
    HOLDFAST_ASSERT(write.truncate_from >= log.first, "a truncation of what is trimmed");
    leave_over(range, write.truncate_from, log.last);
    log.last = write.truncate_from - 1;
  }
  put_entries(write, range, out);
  if (write.erase_before > log.first) {
    HOLDFAST_ASSERT(write.erase_before <= log.last + 1, "a trim of what is not there");
    leave_over(range, log.first, write.erase_before - 1);
    log.first = write.erase_before;
  }
  erase_leftovers(write.group, range, out, budget);
}

void erase_leftovers(group_id group, stored_range& range, write_set& out, erase_budget& budget) {
  auto& leftovers = range.leftovers;
  while (!leftovers.empty() && budget.left > 0) {
    auto& l = leftovers.back();
    for (; budget.left > 0 && l.last >= l.first; --l.last, --budget.left)
      out.erase(family::log, keys::log_entry(group, l.last));
    if (l.last < l.first)
      leftovers.pop_back();
  }
  mark(group, range, out);
}

void forget_entries(stored_range& range) {
  range.log = {};
  range.leftovers.clear();
}

void put_applied(group_id group, std::uint64_t index, std::uint64_t term, write_set& out) {
  put_log_state(group, {term, index}, out);
}

result<loaded_group> load(const reader& from, group_id group) {
  auto hard =
    read_meta(from, group, "term and vote", keys::hard_state(group), codec::decode_hard_state);
  if (!hard)
    return hard.error();
  auto snapshot = read_meta(from, group, "snapshot metadata", keys::snapshot_metadata(group),
                            codec::decode_snapshot_metadata);
  if (!snapshot)
    return snapshot.error();
  const auto marked =
    read_meta(from, group, "log range", keys::log_range(group), codec::decode_log_range);
  if (!marked)
    return marked.error();
  if (*marked && ((*marked)->first == 0 || (*marked)->last > stored_index_max ||
                  (*marked)->first > (*marked)->last + 1))
    return in_group(group, "log range", {errc::corrupt, "not a range"});
  if (*snapshot && (*snapshot)->index > stored_index_max)
    return in_group(group, "snapshot metadata", {errc::corrupt, "not an index"});
  const auto applied = read_log_state(from, group);
  if (!applied)
    return applied.error();
  loaded_group out;
  out.stored.hard = hard->value_or(hard_state{});
  out.stored.snapshot = std::move(*snapshot);
  out.stored.applied = applied->applied;
  // Without entries and without a mark, the log goes on after the snapshot.
  const auto begin = out.stored.snapshot ? out.stored.snapshot->index + 1 : 1;
  out.range.log =
    *marked ? log_range{(*marked)->first, (*marked)->first - 1} : log_range{begin, begin - 1};
  out.range.is_marked = marked->has_value();
  if (auto read = read_entries(from, group, *marked, out); !read)
    return read.error();
  if (auto right = check_beginning(group, out); !right)
    return right.error();
  if (auto right = check_applied(group, out, *applied); !right)
    return right.error();
  out.stored.first_index = out.range.log.first;
  return out;
}

}  // namespace holdfast::consensus
