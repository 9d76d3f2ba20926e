#pragma once
// One agent whose records go through `apply` into a store in memory and are read back from it.

#include "persistence/keys.hpp"
#include "persistence/memory_store.hpp"
#include "runtime/core/apply.hpp"
#include "runtime/core/fork.hpp"
#include "runtime/core/stored_records.hpp"
#include "tests/unit/runtime_core/agent_bench.hpp"

namespace holdfast::testing {

class stored_agent {
public:
  explicit stored_agent(compiled_agent spec, std::string key = "k1")
    : definitions(spec, std::move(key)), name(definitions.state().name) {
    reload();
  }

  /// Decides, applies, and compares what was stored with what the core holds.
  const decided_turn& turn(std::vector<queued_command> commands);
  const decided_turn& turn(command one) {
    std::vector<queued_command> queued;
    queued.push_back({std::move(one), {1, 1}, false, {}, {}});
    return turn(std::move(queued));
  }
  run_id deliver(event e = event_of("go"));
  void outcome(const effect_state& of, attempt_outcome what) {
    turn(complete_effect{of.run, of.no, of.attempt, std::move(what)});
  }

  /// Forgets everything in memory, as after a restart.
  void reload();
  const agent_state& state() const { return core->state(); }
  bool has(family in, const std::string& key) const;
  std::size_t keys_in(const keys::range& range, family in) const;
  result<run_summary> run(const run_id& id) const;

  static constexpr group_id group = 3;
  agent_bench definitions;  ///< lends its behaviours, definitions and clock
  agent_name name;
  memory_store disk;
  std::unique_ptr<fact_machine> machine;
  std::unique_ptr<stored_records> records;
  std::unique_ptr<agent_core> core;
  decided_turn last;
  std::uint64_t index = 0;
};

}  // namespace holdfast::testing
