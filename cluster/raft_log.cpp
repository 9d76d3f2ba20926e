#include "cluster/raft_log.hpp"

#include <iterator>

namespace holdfast::consensus {

raft_log::raft_log(const stored_group& stored) : first_(stored.first_index), changes_(1) {
  if (stored.snapshot) {
    snapshot_ = *stored.snapshot;
    changes_.front() = {snapshot_.configuration_index, snapshot_.members};
  }
  for (const auto& e : stored.entries)
    append(e);
}

const entry& raft_log::at(std::uint64_t index) const {
  HOLDFAST_ASSERT(holds(index), "an entry that the log does not hold");
  return entries_[index - first_];
}

std::uint64_t raft_log::term_at(std::uint64_t index) const noexcept {
  if (holds(index))
    return entries_[index - first_].term;
  return index != 0 && index == snapshot_.index ? snapshot_.term : 0;
}

void raft_log::append(entry value) {
  bytes_ += value.data->size();
  entries_.push_back(std::move(value));
  // An entry before the snapshot's configuration says nothing new.
  if (entries_.back().kind == entry_kind::change && last() > changes_.back().index) {
    auto members = decode_configuration(*entries_.back().data);
    HOLDFAST_ASSERT(members, "a configuration in the log does not parse");
    changes_.push_back({last(), std::move(*members)});
  }
}

void raft_log::truncate(std::uint64_t from) {
  HOLDFAST_ASSERT(holds(from), "truncation outside the log");
  while (last() >= from) {
    bytes_ -= entries_.back().data->size();
    entries_.pop_back();
  }
  while (changes_.back().index >= from) {
    changes_.pop_back();
    HOLDFAST_ASSERT(!changes_.empty(), "truncation of a committed configuration");
  }
}

void raft_log::trim(std::uint64_t index, std::uint64_t first_kept) {
  const auto term = term_at(index);
  HOLDFAST_ASSERT(term != 0 && first_kept <= index + 1, "trimmed outside the log");
  const auto& as_of = configuration_at(index);
  snapshot_ = {index, term, as_of.members, as_of.index};
  for (; first_ < first_kept; ++first_) {
    bytes_ -= entries_.front().data->size();
    entries_.pop_front();
  }
  // Nobody asks for a configuration before the oldest one that a snapshot may still be made of.
  while (changes_.size() > 1 && changes_[1].index < first_)
    changes_.erase(changes_.begin());
}

void raft_log::install(snapshot_metadata metadata) {
  entries_.clear();
  bytes_ = 0;
  first_ = metadata.index + 1;
  changes_ = {{metadata.configuration_index, metadata.members}};
  snapshot_ = std::move(metadata);
}

const raft_log::change& raft_log::configuration_at(std::uint64_t index) const noexcept {
  auto found = changes_.rbegin();
  while (std::next(found) != changes_.rend() && found->index > index)
    ++found;
  return *found;
}

}  // namespace holdfast::consensus
