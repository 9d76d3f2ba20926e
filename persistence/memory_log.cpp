#include "persistence/memory_log.hpp"

#include <optional>
#include <utility>

#include "persistence/log_state.hpp"
#include "persistence/memory_store.hpp"

namespace holdfast {

namespace {

using record_ptr = std::shared_ptr<const turn_record>;

/// A backup cut ends an entry.
void take_entry(std::deque<record_ptr>& waiting, std::size_t max_records,
                std::vector<record_ptr>& out) {
  while (!waiting.empty() && out.size() < max_records) {
    out.push_back(std::move(waiting.front()));
    waiting.pop_front();
    if (cut_epoch(*out.back()) != 0)
      return;
  }
}

std::string of_group(group_id group) { return "group " + std::to_string(group); }

}  // namespace

memory_log::memory_log(store& target, state_machine& machine, commit_listener& listener)
  : store_(target), machine_(machine), listener_(listener) {}

status memory_log::propose(group_id group, std::uint64_t term,
                           std::shared_ptr<const turn_record> record) {
  HOLDFAST_ASSERT(record, "a proposal without a record");
  if (!leads(group, term))
    return error{errc::not_leader, of_group(group)};
  const auto decided = on_propose ? on_propose(group, *record) : errc::ok;
  const std::scoped_lock lock(mutex_);
  if (decided != errc::ok) {
    if (decided == errc::overloaded)
      ++count_.refused;
    return error{decided, of_group(group)};
  }
  const auto found = groups_.find(group);
  if (found == groups_.end() || !found->second.leading || found->second.term != term)
    return error{errc::not_leader, of_group(group)};
  found->second.waiting.push_back(std::move(record));
  return ok_status();
}

bool memory_log::leads(group_id group, std::uint64_t term) const noexcept {
  const std::scoped_lock lock(mutex_);
  const auto found = groups_.find(group);
  return found != groups_.end() && found->second.leading && found->second.term == term;
}

commit_log::counters memory_log::count() const noexcept {
  const std::scoped_lock lock(mutex_);
  return count_;
}

std::size_t memory_log::queued() const noexcept {
  const std::scoped_lock lock(mutex_);
  std::size_t sum = 0;
  for (const auto& [group, state] : groups_)
    sum += state.waiting.size();
  return sum;
}

std::size_t memory_log::queued(group_id group) const noexcept {
  const std::scoped_lock lock(mutex_);
  const auto found = groups_.find(group);
  return found == groups_.end() ? 0 : found->second.waiting.size();
}

result<std::uint64_t> memory_log::lead(group_id group) {
  {
    const std::scoped_lock lock(mutex_);
    if (failed_.code != errc::ok)
      return failed_;
    const auto found = groups_.find(group);
    HOLDFAST_ASSERT(found == groups_.end() || !found->second.leading,
                    "lead of a group that is led already: depose it first");
  }
  auto stored = read_log_state(store_, group);
  if (!stored)
    return fail(stored.error());
  const auto term = ++stored->term;
  write_set writes;
  put_log_state(group, *stored, writes);
  if (auto written = store_.write(writes, true); !written)
    return fail(written.error());
  {
    const std::scoped_lock lock(mutex_);
    groups_[group] = {term, stored->applied, true, {}};
    ++count_.groups;
    count_.bytes += writes.bytes();
  }
  listener_.leading(group, term);
  return term;
}

result<std::size_t> memory_log::step(std::size_t max_records_per_group) {
  std::optional<group_id> next;
  {
    const std::scoped_lock lock(mutex_);
    if (failed_.code != errc::ok)
      return failed_;
    for (const auto& [group, state] : groups_) {
      if (state.waiting.empty())
        continue;
      if (!next)
        next = group;  // when there is none behind the last one
      if (group > last_stepped_) {
        next = group;
        break;
      }
    }
    if (!next)
      return std::size_t{0};
    last_stepped_ = *next;
  }
  return step_group(*next, max_records_per_group);
}

result<std::size_t> memory_log::step_group(group_id group, std::size_t max_records) {
  HOLDFAST_ASSERT(max_records > 0, "a step of no records");
  batch records;
  std::uint64_t term = 0;
  std::uint64_t index = 0;
  {
    const std::scoped_lock lock(mutex_);
    if (failed_.code != errc::ok)
      return failed_;
    const auto found = groups_.find(group);
    if (found == groups_.end() || found->second.waiting.empty())
      return std::size_t{0};
    auto& waiting = found->second.waiting;
    take_entry(waiting, max_records, records);
    term = found->second.term;
    index = found->second.index + 1;
  }
  if (auto committed = commit(group, term, index, records); !committed)
    return committed.error();
  const auto size = records.size();
  listener_.committed(group, term, index, std::move(records));
  return size;
}

result<std::size_t> memory_log::drain(std::size_t max_records_per_group) {
  for (std::size_t sum = 0;;) {
    const auto stepped = step(max_records_per_group);
    if (!stepped)
      return stepped.error();
    if (*stepped == 0)
      return sum;
    sum += *stepped;
  }
}

status memory_log::commit(group_id group, std::uint64_t term, std::uint64_t index,
                          const batch& records) {
  write_set writes;
  machine_.apply(store_, group, index, records, writes);
  put_log_state(group, {term, index}, writes);
  if (auto written = store_.write(writes, true); !written)
    return fail(written.error());
  if (const auto epoch = cut_epoch(*records.back()); epoch != 0)
    listener_.cut(group, epoch, index);
  const std::scoped_lock lock(mutex_);
  groups_.at(group).index = index;
  count_.records += records.size();
  ++count_.groups;
  count_.bytes += writes.bytes();
  return ok_status();
}

/// In as many entries as it takes.
status memory_log::commit_all(group_id group, std::uint64_t term, std::uint64_t index,
                              std::deque<std::shared_ptr<const turn_record>> waiting) {
  while (!waiting.empty()) {
    batch records;
    take_entry(waiting, unlimited, records);
    if (auto committed = commit(group, term, ++index, records); !committed)
      return committed;
  }
  return ok_status();
}

error memory_log::fail(error why) {
  const std::scoped_lock lock(mutex_);
  groups_.clear();
  failed_ = std::move(why);
  return failed_;
}

status memory_log::depose(group_id group, bool apply_queued) {
  std::deque<std::shared_ptr<const turn_record>> rest;
  std::uint64_t term = 0;
  std::uint64_t index = 0;
  {
    const std::scoped_lock lock(mutex_);
    if (failed_.code != errc::ok)
      return failed_;
    const auto found = groups_.find(group);
    if (found == groups_.end() || !found->second.leading)
      return ok_status();
    found->second.leading = false;
    rest = std::exchange(found->second.waiting, {});
    term = found->second.term;
    index = found->second.index;
  }
  if (apply_queued)
    if (auto committed = commit_all(group, term, index, std::move(rest)); !committed)
      return committed;
  listener_.lost(group, term, errc::unknown_outcome);
  return ok_status();
}

void memory_log::apply_unheard() {
  std::map<group_id, group_state> before;
  {
    const std::scoped_lock lock(mutex_);
    before = groups_;
  }
  for (const auto& [group, state] : before) {
    if (!commit_all(group, state.term, state.index, state.waiting))
      return;
  }
}

void memory_log::crash(bool apply_queued) {
  if (apply_queued)
    apply_unheard();
  {
    const std::scoped_lock lock(mutex_);
    groups_.clear();
    failed_ = {};
    last_stepped_ = std::numeric_limits<group_id>::max();
  }
  if (auto* memory = dynamic_cast<memory_store*>(&store_))
    memory->crash();
}

}  // namespace holdfast
