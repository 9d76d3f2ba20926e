#include "runtime/core/outbox.hpp"

#include <algorithm>

namespace holdfast {

namespace {

constexpr time_us resend_us = 2'000'000;  ///< an unanswered message goes out again
constexpr time_us wait_us_min = 50'000;
constexpr time_us wait_us_max = 5'000'000;

}  // namespace

std::uint64_t outbox::next_for(group_id target) {
  auto& next = next_[target];
  next = std::max<std::uint64_t>(next, 1);
  return next++;
}

void outbox::give_back(group_id target, std::uint64_t sequence) {
  auto& next = next_[target];
  HOLDFAST_ASSERT(next == sequence + 1, "outbox numbers are given back out of order");
  next = sequence;
}

void outbox::schedule(key at, pending& one, time_us due) {
  schedule_.erase({one.due, at});
  one.due = due;
  schedule_.insert({due, at});
}

void outbox::add(key at, outbox_message message) {
  auto& one = pending_[at];
  one.message = std::move(message);
  schedule(at, one, 0);
}

void outbox::acknowledged(key at) {
  const auto found = pending_.find(at);
  if (found == pending_.end())
    return;
  schedule_.erase({found->second.due, at});
  pending_.erase(found);
}

void outbox::refused(key at, time_us now) {
  const auto found = pending_.find(at);
  if (found == pending_.end())
    return;
  auto& one = found->second;
  const auto wait = std::min(wait_us_max, wait_us_min << std::min(one.attempts, 10U));
  ++one.attempts;
  schedule(at, one, now + wait);
}

std::vector<outbox::due_message> outbox::take_due(time_us now) {
  std::vector<due_message> out;
  while (!schedule_.empty() && schedule_.begin()->first <= now) {
    const key at = schedule_.begin()->second;
    auto& one = pending_.at(at);
    out.push_back({at, &one.message});
    schedule(at, one, now + resend_us);
  }
  return out;
}

time_us outbox::next_due() const noexcept {
  return schedule_.empty() ? 0 : schedule_.begin()->first;
}

const outbox_message* outbox::find(key at) const {
  const auto found = pending_.find(at);
  return found == pending_.end() ? nullptr : &found->second.message;
}

}  // namespace holdfast
