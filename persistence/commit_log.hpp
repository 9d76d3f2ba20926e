#pragma once
// The seam between deciding and acting: facts go in, and come back committed, or the shard learns that they did not.
// Behind it: an in-memory log for tests and simulation, the local one of a single node, and the replicated one.
// Users of the seam cannot tell which.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "persistence/store.hpp"
#include "schemas/fact.hpp"

namespace holdfast {

/// Makes keys out of facts: the only thing that does (DESIGN §5). Deterministic; called by one thread at a time for a
/// group, in the order of the log, with a view that holds everything applied before. Aborts on a gap in sequence
/// numbers. Must not fail otherwise.
class state_machine {
public:
  virtual ~state_machine() = default;
  virtual void apply(const reader& view, group_id group, std::uint64_t index,
                     std::span<const std::shared_ptr<const turn_record>> records,
                     write_set& out) = 0;
  /// The group's state was replaced by a snapshot: nothing that is remembered of it holds.
  virtual void replaced(group_id) {}
};

/// What the log tells the owner of a group. Called on the log's own thread; must not block and must not call back into
/// the log. At most one `committed` per group and fsync: it carries every record of that group.
class commit_listener {
public:
  virtual ~commit_listener() = default;
  /// This node leads the group from now on, in this term. Everything proposed by earlier terms is applied.
  virtual void leading(group_id group, std::uint64_t term) = 0;
  /// A record with a cut of that epoch is the last that the store holds of the group, for as long as this call takes: a
  /// snapshot of the store is what a backup wants of it. Also where others lead.
  virtual void cut(group_id, std::uint64_t /*epoch*/, std::uint64_t /*index*/) {}
  /// These records are durable and applied, in this order. The records are the very objects that were proposed.
  virtual void committed(group_id group, std::uint64_t term, std::uint64_t index,
                         std::vector<std::shared_ptr<const turn_record>> records) = 0;
  /// These records are applied here although this term did not propose them: another node did, or
  /// this one in an earlier term.
  virtual void followed(group_id, std::uint64_t /*index*/,
                        std::vector<std::shared_ptr<const turn_record>>) {}
  /// The group's state was replaced by a snapshot, in place of records that are not told.
  virtual void replaced(group_id) {}
  /// This node does not lead the group any more. What was proposed and not reported is `unknown`.
  virtual void lost(group_id group, std::uint64_t term, errc why) = 0;
};

/// Called when the store refused a write; should not return.
using fail_stop = std::function<void(const error&)>;
/// Says so on stderr and ends the process with 70, without destructors: nothing is known of what is
/// on disk, recovery decides (DESIGN §5).
void end_process(const error& why);

/// The epoch of the backup cut that the record is; 0: it is none. A log ends the entry with it, and the write.
std::uint64_t cut_epoch(const turn_record& record) noexcept;

class commit_log {
public:
  struct counters {
    std::uint64_t records = 0;  ///< committed
    std::uint64_t groups = 0;   ///< durable writes (fsyncs)
    std::uint64_t bytes = 0;    ///< given to the store
    std::uint64_t refused = 0;  ///< overloaded
  };

  virtual ~commit_log() = default;
  /// Queues the record; never blocks, never times out. Thread-safe; the order of calls of one group is kept.
  /// Errors: `overloaded` (was not appended), `not_leader` (was not appended; this term is over).
  virtual status propose(group_id group, std::uint64_t term,
                         std::shared_ptr<const turn_record> record) = 0;
  /// True while this node may act for the group in this term: checked again before every effect (DESIGN §6).
  virtual bool leads(group_id group, std::uint64_t term) const noexcept = 0;
  virtual counters count() const noexcept = 0;
};

}  // namespace holdfast
