// The state of a group that moves from one node to another in place of its log.

#include "cluster/replicated_log.hpp"
#include "persistence/kill_point.hpp"

namespace holdfast {

/// The state of the group, and with it its log, becomes what was fetched. Groups know nothing of each other: those in
/// the same batch are written before.
bool replicated_log::install(const consensus::log_write& what) {
  auto& g = groups_.at(what.group);
  const auto fetched = snapshots_.take(*what.install);
  HOLDFAST_ASSERT(fetched, "a snapshot that was not fetched");
  consensus::forget_entries(g.stored);  // the old log goes with the old state
  write_set extra;
  consensus::erase_budget budget;
  consensus::put(what, g.stored, extra, budget);
  consensus::put_applied(what.group, what.snapshot->index, what.snapshot->term, extra);
  kill_point("install.before");
  if (auto installed = fetched->install(extra); !installed) {
    fail(installed.error());
    return false;
  }
  kill_point("install.after");
  g.applied = what.snapshot->index;
  ++installed_;
  machine_.replaced(what.group);
  listener_.replaced(what.group);
  return true;
}

void replicated_log::wanted(const consensus::snapshot_wanted& what) {
  std::erase_if(offers_late_,
                [&](const auto& one) { return one.group == what.group && one.to == what.to; });
  if (!offer(what))
    offers_late_.push_back(what);
}

/// False: not now; too many states are offered, or this one is not far enough.
bool replicated_log::offer(const consensus::snapshot_wanted& what) {
  const auto applied = groups_.at(what.group).applied;
  if (applied < what.index_min)
    return false;
  const auto id = snapshots_.pin(what.group, what.to);
  if (!id)
    return false;
  if (!host_->offer_snapshot(now_ms_, what.group, what.to, what.term, *id, applied))
    snapshots_.unpin(*id);  // nobody wants it any more, or it will be asked for again
  return true;
}

/// The consensus would ask again after many seconds only, for which nobody would catch up.
void replicated_log::offer_again() {
  std::erase_if(offers_late_, [this](const auto& what) {
    const auto* group = host_->find(what.group);
    return group->leading_term() != what.term || offer(what);
  });
}

void replicated_log::fetched(group_id group, std::uint64_t snapshot_id, bool is_here) {
  post([this, group, snapshot_id, is_here](consensus::raft_host& host, std::uint64_t now_ms) {
    if (is_here ? host.snapshot_fetched(group, snapshot_id)
                : host.snapshot_failed(now_ms, group, snapshot_id))
      return;
    (void)snapshots_.take(snapshot_id);  // nobody waits for it any more
  });
}

}  // namespace holdfast
