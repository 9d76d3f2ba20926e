#include "runtime/gateway/fact_walk.hpp"

#include <algorithm>

#include "persistence/keys.hpp"

namespace holdfast {

bool is_journal_fact(const fact& f) noexcept {
  return !is_partition_fact(f) && !std::holds_alternative<message_appended>(f) &&
         !std::holds_alternative<state_changed>(f) && !std::holds_alternative<text_streamed>(f) &&
         !std::holds_alternative<text_emitted>(f);
}

fact_walk::fact_walk(const reader& store, group_id group, const agent_name& name, family beside,
                     seq_no from, seq_no to)
  : from_(from), to_(to) {
  const std::array families{family::journal, beside};
  for (std::size_t i = 0; i < families.size(); ++i) {
    // The record that holds `from` may begin before it.
    auto range = keys::numbered_range(group, name, from, to);
    const auto before = keys::numbered_range(group, name, 0, from);
    if (const auto last = store.scan(families[i], before.lower, before.upper, true); last->valid())
      range.lower = std::string{last->key()};
    else if (const auto walked = last->state(); !walked)
      problem_ = walked.error();
    sources_[i].at = store.scan(families[i], range.lower, range.upper);
    load(sources_[i]);
    while (sources_[i].open && sources_[i].fact().seq < from_)
      step(sources_[i]);
  }
  choose();
}

bool fact_walk::ends_record() const noexcept {
  return current_ == &sources_[0] && current_->index + 1 == current_->facts.facts.size();
}

void fact_walk::next() {
  step(*current_);
  choose();
}

/// Decodes the value that the cursor is at.
void fact_walk::load(source& one) {
  one.open = false;
  one.index = 0;
  for (; one.at->valid(); one.at->next()) {
    auto decoded = codec::decode_facts(one.at->value());
    if (!decoded) {
      problem_ = decoded.error();
      return;
    }
    one.facts = std::move(*decoded);
    if (!one.facts.facts.empty()) {
      one.open = true;
      return;
    }
  }
  if (const auto walked = one.at->state(); !walked)
    problem_ = walked.error();
}

void fact_walk::step(source& one) {
  if (++one.index < one.facts.facts.size())
    return;
  one.at->next();
  load(one);
}

void fact_walk::choose() {
  current_ = nullptr;
  if (problem_)
    return;
  for (auto& one : sources_)
    if (one.open && one.fact().seq < to_ &&
        (current_ == nullptr || one.fact().seq < current_->fact().seq))
      current_ = &one;
}

result<seq_no> begin_of_run_at(const reader& store, group_id group, const agent_name& name,
                               seq_no seq) {
  const auto range = keys::numbered_range(group, name, 0, seq);
  std::vector<run_id> ended;
  const auto at = store.scan(family::journal, range.lower, range.upper, true);
  for (; at->valid(); at->next()) {
    const auto record = codec::decode_facts(at->value());
    if (!record)
      return record.error();
    for (auto one = record->facts.rbegin(); one != record->facts.rend(); ++one) {
      if (one->seq >= seq)
        continue;
      if (const auto* completed = std::get_if<run_completed>(&one->fact))
        ended.push_back(completed->run);
      else if (const auto* failed = std::get_if<run_failed>(&one->fact))
        ended.push_back(failed->run);
      else if (const auto* cancelled = std::get_if<run_cancelled>(&one->fact))
        ended.push_back(cancelled->run);  // the open run's, or that of a waiting event
      else if (const auto* started = std::get_if<run_started>(&one->fact))
        return std::find(ended.begin(), ended.end(), started->run) == ended.end() ? one->seq : seq;
    }
  }
  if (const auto walked = at->state(); !walked)
    return walked.error();
  return seq;
}

result<seq_no> oldest_fact(const reader& store, group_id group, const agent_name& name) {
  const auto range = keys::numbered_range(group, name);
  const auto at = store.scan(family::journal, range.lower, range.upper);
  if (at->valid())
    return keys::number_of(at->key()).value_or(0);
  if (const auto walked = at->state(); !walked)
    return walked.error();
  return seq_no{0};
}

}  // namespace holdfast
