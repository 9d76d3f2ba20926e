// What happens next: one pending thing after the other, until everything asked for was done and
// nothing is pending.

#include <algorithm>
#include <numeric>
#include <utility>

#include "tests/sim/simulation.hpp"

namespace holdfast::sim {

namespace {

constexpr std::uint64_t steps_max = 400'000;
/// Longer than any wait of an agent, a call or a retry.
constexpr time_us quiet_us = 600'000'000;

}  // namespace

/// Does it with one of the shards that have it, if any has.
template <class Has, class Do>
void simulation::on_any(Has has, Do act) {
  const auto start = random.below(partitions);
  for (std::uint64_t i = 0; i < partitions; ++i) {
    auto& one = groups_[1 + (start + i) % partitions];
    if (one && !one->over && has(*one))
      return act(*one);
  }
}

/// How likely each thing is that can happen now.
simulation::chances simulation::weigh() const {
  chances weight{};
  const auto set = [&](happening what, unsigned likely) {
    weight[static_cast<std::size_t>(what)] = likely;
  };
  for (group_id group = 0; group <= partitions; ++group) {
    if (log_->queued(group) != 0)
      set(happening::log_step, 25);
    const auto& one = groups_[group];
    if (group == catalog_group ? catalog_term_ == 0 : !one)
      set(happening::lead, 30);
    if (!one || one->over)
      continue;
    if (!one->works.empty())
      set(happening::decide, 30);
    if (!one->turns.empty())
      set(happening::hand_over, 30);
    if (!one->commits.empty())
      set(happening::commit, 30);
    if (one->wake != 0 && one->wake <= now)
      set(happening::tick, 25);
    if (one->has_call(now))
      set(happening::call, 25);
  }
  if (!mails_.empty())
    set(happening::mail, 20);
  if (!receipts_.empty())
    set(happening::receipt, 20);
  if (!healed && users.made < plan.requests)
    set(happening::client, 8);
  return weight;
}

bool simulation::step_once() {
  ++seen.steps;
  now += 1 + static_cast<time_us>(random.below(150));
  reap();
  if (!healed)
    break_something();
  if (crash_wanted_)
    return true;
  auto weight = weigh();
  auto sum = std::accumulate(weight.begin(), weight.end(), 0U);
  if (sum == 0)
    return false;
  if (!healed) {
    sum += weight[static_cast<std::size_t>(happening::backup)] = 1;
    sum += weight[static_cast<std::size_t>(happening::time)] = 2;
  }
  auto at = random.below(sum);
  std::size_t chosen = 0;
  while (at >= weight[chosen])
    at -= weight[chosen++];
  past.mix(chosen);
  happen(static_cast<happening>(chosen));
  return true;
}

void simulation::happen(happening what) {
  switch (what) {
    case happening::decide:
      return on_any([](process& p) { return !p.works.empty(); },
                    [&](process& p) { p.decide(random.below(p.works.size())); });
    case happening::hand_over:
      return on_any([](process& p) { return !p.turns.empty(); },
                    [&](process& p) { p.hand_over(random.below(p.turns.size())); });
    case happening::commit:
      return on_any([](process& p) { return !p.commits.empty(); },
                    [](process& p) { p.commit_next(); });
    case happening::call:
      return on_any([&](process& p) { return p.has_call(now); },
                    [&](process& p) { p.go_on_with_call(random.below(p.calls.size())); });
    case happening::tick:
      return on_any([&](process& p) { return p.wake != 0 && p.wake <= now; },
                    [](process& p) { p.tick(); });
    case happening::mail:
      return deliver_mail();
    case happening::receipt:
      return deliver_receipt();
    case happening::log_step:
      return step_log();
    case happening::lead:
      return lead_one();
    case happening::client:
      return users.act();
    case happening::backup:
      return ask_for_cut();
    case happening::time:
      if (!may(100, fault::spurious_tick))
        return turn_clock();
      return on_any([](process&) { return true; }, [](process& p) { p.tick_early(); });
  }
}

void simulation::step() {
  if (!step_once())
    turn_clock();
}

void simulation::settle() {
  const auto begun = seen.steps;
  auto records = seen.records;
  time_us moved_at = now;
  for (;;) {
    require(seen.steps - begun < steps_max, "it does not come to rest");
    if (step_once() || crash_wanted_)
      continue;
    if (std::exchange(records, seen.records) != records)
      moved_at = now;
    // A message to an agent whose mailbox is full, and which is held, is offered for ever.
    if (!pass_time() || now > moved_at + quiet_us)
      return;
  }
}

void simulation::calm_down() {
  healed = true;
  say("CALM");
  overloaded_until_ = {};
  const auto trouble = std::exchange(sinks.trouble, 0);
  settle();
  check_rest();
  sinks.trouble = trouble;
  healed = false;
}

void simulation::drain() {
  healed = true;
  say("HEALED");
  overloaded_until_ = {};
  sinks.trouble = 0;
  for (int round = 0;; ++round) {
    require(round < 40, "repeats and tidying do not end");
    settle();
    check_rest();
    const bool again = users.repeat_unanswered();
    if (!users.tidy_up(round >= 10) && !again)
      return;
  }
}

void simulation::run() {
  // Some seeds never come to rest before the end, so that trouble meets the traces of old trouble.
  auto calm_at = random.chance(300) ? plan.requests : plan.requests / 3;
  while (users.made < plan.requests) {
    step();
    if (users.made == calm_at) {
      calm_at += plan.requests / 3;
      calm_down();
    }
  }
  for (int i = 0; i < 200; ++i)
    step();
  drain();
  check_end();
  check_after_restart();
}

}  // namespace holdfast::sim
