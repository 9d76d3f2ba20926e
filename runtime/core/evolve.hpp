#pragma once
// The only writer of state: total, deterministic, shared by normal running, recovery and followers (DESIGN §3).
// A branch, once released, does not change: add a fact.

#include "schemas/state.hpp"

namespace holdfast {

/// Takes one fact of the agent into its state; the fact's place is `state.seq + 1`. Never fails: a fact that does not
/// fit (an effect that is not open) leaves everything but the position as it was. `at` is the stamp of its record.
void evolve(agent_state& state, const fact& f, time_us at);

/// The same for what concerns the partition.
void evolve(partition_state& state, const fact& f, time_us at);

/// The digest of a conversation that ends with `next`, given that of what came before.
digest128 extend(const digest128& conversation, const message& next);

/// The open effect, or null.
effect_state* find_effect(agent_state& state, std::uint32_t no) noexcept;
const effect_state* find_effect(const agent_state& state, std::uint32_t no) noexcept;
const timer_state* find_timer(const agent_state& state, std::uint64_t id) noexcept;

/// True when the message with this sequence was taken from that group before.
bool was_taken(const partition_state& state, group_id source, std::uint64_t sequence) noexcept;

/// What `run_summary` says of an open run.
run_summary summary_of(const agent_state& state, const open_run& run);

}  // namespace holdfast
