#include "actors/agent.hpp"

#include <random>

#include "actors/instrumented.hpp"
#include "runtime/core/stored_records.hpp"

namespace holdfast {

namespace {

/// The committed state of one agent, and at most one turn on its way.
struct agent_actor_state {
  static inline constexpr const char* name = "holdfast.agent";

  services_ptr services;
  group_id group = 0;
  std::uint64_t term = 0;
  std::optional<agent_core> core;
  std::optional<stored_records> records;
  std::uint64_t random = 0;

  void load(const agent_name& who) {
    auto stored = load_agent(*services->records, group, who);
    HOLDFAST_ASSERT(stored, "an agent's snapshot cannot be read");
    agent_state state;
    state.name = who;
    if (*stored)
      state = std::move(**stored);
    core.emplace(std::move(state));
    records.emplace(*services->records, group, who);
  }

  decided_turn decide(agent_work work) {
    if (work.previous == agent_work::verdict::committed)
      core->committed();
    else if (work.previous == agent_work::verdict::discarded)
      core->discarded();
    turn_context context;
    context.now = services->now();
    context.term = term;
    context.group = group;
    context.partitions = services->partitions;
    context.random = ++random;
    context.careful = services->is_suspect && services->is_suspect(core->state().name);
    context.definitions = services->definitions->get();
    context.behaviour_of = services->behaviour_of;
    context.price_of = [this](std::string_view model) {
      const auto found = services->models.find(model);
      if (found == services->models.end())
        return call_price{};
      const auto& price = found->second.price;
      return call_price{price.input, price.cached_input, price.output};
    };
    context.jq = services->compile_with.jq;
    context.handler_enters = services->handler_enters;
    context.handler_leaves = services->handler_leaves;
    try {
      return core->take(work.commands, context, *records);
    } catch (const std::exception& thrown) {
      return quarantine(work.commands, context, thrown.what());
    }
  }

  /// A decision that throws is a bug: the agent is held for a person to look at, and everybody who waits is told.
  decided_turn quarantine(const std::vector<queued_command>& commands, const turn_context& context,
                          std::string what) {
    core->discarded();
    const control hold{
      control_verb::quarantine, "holdfast", "internal error while deciding: " + what, {}, false};
    auto turn = core->take({{hold, {}, false, {}, {}}}, context, *records);
    turn.may_refuse = false;
    for (const auto& one : commands) {
      command_result told{one.from, one.until_end, one.inbound, {}, {}, {}};
      told.refused = error{
        errc::internal, "internal error; the agent is quarantined, `holdfast agent why` says more"};
      if (one.once)
        told.once = one.once->scope;
      turn.results.push_back(std::move(told));
    }
    return turn;
  }
};

agent_actor::behavior_type agent_behavior(self_pointer<agent_actor, agent_actor_state> self,
                                          services_ptr services, group_id group, std::uint64_t term,
                                          agent_name name, shard_reports shard) {
  auto& state = self->state;
  state.services = std::move(services);
  state.group = group;
  state.term = term;
  state.random = std::random_device{}() * 0x9E3779B97F4A7C15ULL;
  return {
    [self, name, shard](atom::work, agent_work& work) {
      if (!self->state.core)
        self->state.load(name);
      self->send(shard, atom::decided_v, self->state.decide(std::move(work)));
    },
  };
}

}  // namespace

agent_actor spawn_agent(caf::local_actor& by, services_ptr services, group_id group,
                        std::uint64_t term, agent_name name, shard_reports shard) {
  return by.spawn<caf::lazy_init>(agent_behavior, std::move(services), group, term, std::move(name),
                                  std::move(shard));
}

}  // namespace holdfast
