#include "cluster/published_groups.hpp"

namespace holdfast {

void published_groups::lead(group_id group, std::uint64_t term) noexcept {
  groups_[group].term.store(term, std::memory_order_release);
}

void published_groups::lose(group_id group) noexcept {
  groups_[group].term.store(0, std::memory_order_release);
  groups_[group].lease_until_ms.store(0, std::memory_order_release);
}

void published_groups::lose_all() noexcept {
  for (std::size_t group = 0; group < groups_.size(); ++group)
    lose(static_cast<group_id>(group));
}

void published_groups::apply(group_id group, std::uint64_t index) noexcept {
  groups_[group].applied.store(index, std::memory_order_release);
}

void published_groups::renew(const group_standing& now, std::uint64_t lease_until_ms,
                             std::uint64_t now_ms) noexcept {
  auto& p = groups_[now.group];
  p.lease_until_ms.store(lease_until_ms, std::memory_order_release);
  p.leader.store(now.leader, std::memory_order_release);
  // Before the first leader is known, it counts from the start.
  if (now.leader != 0 || p.leader_seen_ms.load(std::memory_order_relaxed) == 0)
    p.leader_seen_ms.store(now_ms, std::memory_order_release);
  p.applied.store(now.applied, std::memory_order_release);
}

void published_groups::set_standings(std::vector<group_standing> now) {
  const std::lock_guard lock{mutex_};
  standings_ = std::move(now);
}

std::uint64_t published_groups::lease_until_ms(group_id group, std::uint64_t term) const noexcept {
  if (term == 0 || group >= groups_.size())
    return 0;
  const auto& p = groups_[group];
  const auto lease_until_ms = p.lease_until_ms.load(std::memory_order_acquire);
  return p.term.load(std::memory_order_acquire) == term ? lease_until_ms : 0;
}

std::uint64_t published_groups::lease_until_ms(group_id group) const noexcept {
  return group < groups_.size()
           ? lease_until_ms(group, groups_[group].term.load(std::memory_order_acquire))
           : 0;
}

consensus::node_id published_groups::leader_of(group_id group) const noexcept {
  return group < groups_.size() ? groups_[group].leader.load(std::memory_order_acquire) : 0;
}

std::uint64_t published_groups::applied(group_id group) const noexcept {
  return group < groups_.size() ? groups_[group].applied.load(std::memory_order_acquire) : 0;
}

std::int64_t published_groups::leaderless_ms(group_id group, std::uint64_t now_ms) const noexcept {
  if (group >= groups_.size() || leader_of(group) != 0)
    return 0;
  const auto seen = groups_[group].leader_seen_ms.load(std::memory_order_acquire);
  return static_cast<std::int64_t>(now_ms - seen);
}

std::vector<group_standing> published_groups::standings() const {
  const std::lock_guard lock{mutex_};
  return standings_;
}

}  // namespace holdfast
