#pragma once
// A state machine, and a disk with one write-ahead log: a crash keeps what was synced, and of the
// rest a beginning.

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <variant>
#include <vector>

#include "cluster/raft_store.hpp"
#include "persistence/memory_store.hpp"
#include "tests/consensus/sim_types.hpp"

namespace holdfast::sim {

/// A hash chain over every entry, and the ids of the commands.
struct machine {
  std::uint64_t applied = 0;
  std::uint64_t hash = 0;
  std::set<std::uint64_t> ids;
  void apply(std::uint64_t index, const consensus::entry& e);
};

std::uint64_t hash_of(const consensus::entry& e);
std::uint64_t command_id(const consensus::entry& e);  ///< 0: none

/// What is durable once more, as keys and values: raft_store must read what was written, whatever it
/// has not erased yet.
class key_store {
public:
  void write(const consensus::log_write& w);
  void applied(group_id group, std::uint64_t index, std::uint64_t term);
  /// As after a start; throws when it is not this.
  void check(group_id group, const consensus::stored_group& expected);

private:
  std::unique_ptr<memory_store> db_ = std::make_unique<memory_store>();
  std::map<group_id, consensus::stored_range> ranges_;
};

class disk {
public:
  explicit disk(defect planted = defect::none) : planted_(planted) {}

  struct stored {
    consensus::hard_state hard;
    std::optional<consensus::snapshot_metadata> snapshot;
    std::uint64_t first = 1;
    std::deque<consensus::entry> entries;
    machine state;
  };
  struct applied_write {
    group_id group = 0;
    std::uint64_t first = 0;
    std::vector<consensus::entry> entries;
  };

  /// A new group's first write, durable.
  void create(group_id group, const consensus::stored_group& from);
  /// `states`: of the snapshots that the batch installs, by id.
  void write(consensus::write_batch batch, std::map<std::uint64_t, machine> states);
  void write(applied_write applied);

  std::uint64_t written() const { return written_; }  ///< batch number
  std::uint64_t mark() const { return base_ + waiting_.size(); }
  void sync_to(std::uint64_t mark);
  /// Gives the number of writes that were lost.
  std::size_t crash(chance& luck);

  consensus::stored_group load(group_id group);
  const machine& state(group_id group) const;

private:
  struct batch_write {
    consensus::write_batch batch;
    std::map<std::uint64_t, machine> states;
  };
  using record = std::variant<batch_write, applied_write>;
  void redo(const record& r);
  void redo(const consensus::log_write& w, const std::map<std::uint64_t, machine>& states);

  defect planted_;
  std::map<group_id, stored> durable_;
  key_store keys_;  // not kept when a defect is planted
  std::deque<record> waiting_;  // written and not synced
  std::uint64_t base_ = 0;
  std::uint64_t written_ = 0;
};

}  // namespace holdfast::sim
