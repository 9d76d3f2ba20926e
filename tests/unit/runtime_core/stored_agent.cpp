#include "tests/unit/runtime_core/stored_agent.hpp"

namespace holdfast::testing {

void stored_agent::reload() {
  machine = std::make_unique<fact_machine>();
  records = std::make_unique<stored_records>(disk, group, name);
  auto stored = load_agent(disk, group, name);
  REQUIRE(stored);
  agent_state state;
  state.name = name;
  core = std::make_unique<agent_core>(*stored ? std::move(**stored) : std::move(state));
}

const decided_turn& stored_agent::turn(std::vector<queued_command> commands) {
  definitions.context.random += 1'000'003;
  definitions.context.now += 1;
  last = core->take(std::move(commands), definitions.context, *records);
  if (!last.record)
    return last;
  write_set writes;
  const std::vector<std::shared_ptr<const turn_record>> batch{last.record};
  machine->apply(disk, group, ++index, batch, writes);
  REQUIRE(disk.write(writes, true));
  core->committed();
  const auto stored = load_agent(disk, group, name);
  REQUIRE(stored);
  if (state().seq == 0) {
    CHECK_FALSE(*stored);
  } else {
    REQUIRE(*stored);
    CHECK_MESSAGE(**stored == state(), "what was stored is not what the core holds");
  }
  return last;
}

run_id stored_agent::deliver(event e) {
  deliver_event cmd;
  cmd.event = std::move(e);
  cmd.verified = "none";
  turn(std::move(cmd));
  return last.results.front().decided.run;
}

bool stored_agent::has(family in, const std::string& key) const {
  const auto found = disk.get(in, key);
  REQUIRE(found);
  return found->has_value();
}

std::size_t stored_agent::keys_in(const keys::range& range, family in) const {
  std::size_t count = 0;
  for (auto at = disk.scan(in, range.lower, range.upper); at->valid(); at->next())
    ++count;
  return count;
}

result<run_summary> stored_agent::run(const run_id& id) const {
  auto found = load_run(disk, group, id);
  if (!found)
    return found.error();
  if (!*found)
    return error{errc::not_found, to_string(id)};
  return std::move(**found);
}

}  // namespace holdfast::testing
