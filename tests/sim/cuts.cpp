// Backups in the middle of everything: what each group held when it cut, and whether that is one consistent state.

#include "persistence/keys.hpp"
#include "schemas/codec.hpp"
#include "tests/sim/simulation.hpp"

namespace holdfast::sim {

/// One group is asked at a time: the others may hear of it first by what they are sent. A cut that nobody heard of,
/// because the process died as it was written, is made up for by a newer backup.
void simulation::ask_for_cut() {
  if (cut_epoch_ == 0 || random.chance(100)) {
    ++cut_epoch_;
    at_cut_.clear();
    say("BACKUP ", std::to_string(cut_epoch_));
  }
  if (auto* one = find(static_cast<group_id>(1 + random.below(partitions))))
    one->core->cut(cut_epoch_);
}

void simulation::cut(group_id group, std::uint64_t epoch, std::uint64_t) {
  if (epoch < cut_epoch_ || at_cut_.contains(group))
    return;
  say("group ", std::to_string(group), " cuts");
  group_at_cut held;
  const auto bytes = disk.get(family::meta, keys::partition_state(group));
  require(bytes && *bytes, "a group without a state cuts");
  auto state = codec::decode_partition_state(**bytes);
  require(bool{state}, "a partition's state does not parse");
  held.state = std::move(*state);
  require(held.state.backup_epoch == epoch, "the state at a cut is not that of its epoch");
  const auto range = keys::outboxes(group);
  for (auto at = disk.scan(family::outbox, range.lower, range.upper); at->valid(); at->next())
    if (const auto key = keys::outbox_of(at->key()))
      held.outbox.insert({key->target, key->sequence});
  at_cut_.emplace(group, std::move(held));
  if (at_cut_.size() == partitions)
    check_cut();
}

/// What was taken was sent; what was sent was taken, or is still to be sent.
void simulation::check_cut() {
  ++seen.cuts;
  for (const auto& [from, source] : at_cut_)
    for (const auto& [to, target] : at_cut_) {
      const auto sent = source.state.out_next.find(to);
      const auto next = sent == source.state.out_next.end() ? 1 : sent->second;
      if (const auto taken = target.state.taken.find(from); taken != target.state.taken.end())
        require(taken->second.watermark < next &&
                  (taken->second.beyond.empty() || taken->second.beyond.back() < next),
                "a backup holds a message as taken that it does not hold as sent");
      for (std::uint64_t sequence = 1; sequence < next; ++sequence)
        require(was_taken(target.state, from, sequence) || source.outbox.contains({to, sequence}),
                "a backup has lost a message");
    }
  cut_epoch_ += 1;
  at_cut_.clear();
}

}  // namespace holdfast::sim
