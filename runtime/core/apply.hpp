#pragma once
// Turns committed facts into keys: the same on a leader, in recovery and on a follower (DESIGN §5). The view is only
// read for agents that are not in the cache.

#include <atomic>
#include <list>
#include <unordered_map>

#include "persistence/commit_log.hpp"
#include "runtime/core/audit_chain.hpp"
#include "schemas/state.hpp"

namespace holdfast {

/// One per node. Called by the log's thread only, but for `reads`.
class fact_machine final : public state_machine {
public:
  /// Keeps the states of the last `cached_agents_max` agents in memory. Without a digest it cannot
  /// take facts of the audit log: it aborts on them.
  explicit fact_machine(std::size_t cached_agents_max = 4'096, chain_digest digest = nullptr);

  void apply(const reader& view, group_id group, std::uint64_t index,
             std::span<const std::shared_ptr<const turn_record>> records, write_set& out) override;
  void replaced(group_id group) override;

  /// Reads of the store made so far. Thread-safe.
  std::uint64_t reads() const noexcept { return reads_.load(std::memory_order_relaxed); }

private:
  struct cached {
    agent_state state;
    std::list<const agent_name*>::iterator place;
  };

  void apply_record(const reader& view, group_id group, const turn_record& record, write_set& out);
  void apply_to_partition(const reader& view, group_id group, const turn_record& record,
                          const fact& f, write_set& out);
  agent_state& load(const reader& view, group_id group, const agent_name& name);
  void append_audit(const reader& view, group_id group, const audit_recorded& what, time_us at,
                    write_set& out);
  partition_state& load_partition(const reader& view, group_id group);
  void forget(const agent_name& name);
  void erase_agent(const reader& view, group_id group, const agent_state& state,
                   std::size_t first_op, write_set& out);

  std::size_t cached_agents_max_;
  std::unordered_map<agent_name, cached> agents_;
  std::list<const agent_name*> recent_;  // most recent first; points at the keys of agents_
  std::unordered_map<group_id, partition_state> partitions_;
  std::unordered_map<group_id, audit_head> audit_heads_;
  chain_digest digest_;
  std::atomic<std::uint64_t> reads_{0};
};

}  // namespace holdfast
