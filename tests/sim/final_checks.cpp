// What must hold when everything has healed and nothing is pending.

#include <nlohmann/json.hpp>

#include <algorithm>

#include "persistence/keys.hpp"
#include "runtime/core/evolve.hpp"
#include "runtime/core/stored_records.hpp"
#include "runtime/core/wake_cause.hpp"
#include "tests/sim/simulation.hpp"

namespace holdfast::sim {

namespace {

/// Whether only a person, another agent or an event from outside can move the agent on.
bool waits_for_others(const agent_state& state) {
  const auto causes = wake_causes(state);
  const auto is_of_others = [](const wake_cause& cause) {
    switch (cause.kind) {
      case wake_kind::paused:
      case wake_kind::quarantined:
      case wake_kind::restored:
      case wake_kind::reconcile:
      case wake_kind::child:
        return true;
      case wake_kind::awaited_event:
        return cause.until == 0;
      default:
        return false;
    }
  };
  return !causes.empty() && !has_more_to_start(state) &&
         std::all_of(causes.begin(), causes.end(), is_of_others);
}

std::size_t keys_in(const store& disk, family in, const keys::range& range) {
  std::size_t count = 0;
  for (auto at = disk.scan(in, range.lower, range.upper); at->valid(); at->next())
    ++count;
  return count;
}

/// Evolved from nothing out of the families that keep its facts.
agent_state recompute(const store& disk, group_id group, const agent_name& name) {
  std::map<seq_no, std::pair<time_us, fact>> facts;
  for (const auto in : {family::journal, family::message, family::memory, family::stream}) {
    const auto range = keys::numbered_range(group, name);
    for (auto at = disk.scan(in, range.lower, range.upper); at->valid(); at->next()) {
      auto stored = codec::decode_facts(at->value());
      require(bool{stored}, "stored facts do not parse");
      for (auto& one : stored->facts)
        require(facts.emplace(one.seq, std::pair{stored->at, std::move(one.fact)}).second,
                "a fact is stored twice");
    }
  }
  agent_state state;
  state.name = name;
  for (const auto& [seq, one] : facts) {
    require(seq == state.seq + 1, "the journal of ", to_string(name), " has a gap");
    evolve(state, one.second, one.first);
  }
  return state;
}

}  // namespace

/// Nothing is pending: whoever is not idle waits for somebody else, who can come.
void simulation::check_rest() {
  for (const auto& name : past.names) {
    const auto& state = past.agents.at(name).state;
    for (const auto& effect : state.effects)
      require(effect.kind != effect_kind::agent || past.may_be_answered({effect.run, effect.no}),
              to_string(name), " waits for an answer that will not come");
    require(!state.run || !state.run->cancel, to_string(name), " does not end what was cancelled");
    if (is_idle(state) || waits_for_others(state))
      continue;
    std::string why = to_string(name) + " is silently stuck:";
    for (const auto& cause : wake_causes(state))
      why += " " + cause.detail + ";";
    require(false, why);
  }
  for (const auto& [key, sent] : past.on_their_way) {
    const auto target = past.agents.find(sent.target);
    const auto spec = definitions->agent(sent.target.type);
    require(target != past.agents.end() &&
              target->second.state.mailbox_next - target->second.state.mailbox_head >=
                spec->def.limits.mailbox,
            "a message does not arrive at ", to_string(sent.target));
  }
  require(disk.inner.size(family::outbox) == past.on_their_way.size(),
          "the outbox keeps what was taken");
}

void simulation::check_end() {
  check_agents();
  check_keys();
  check_events();
  for (group_id group = 1; group <= partitions; ++group) {
    require(groups_[group] != nullptr, "a group is not led");
    require(groups_[group]->core->unfinished() == 0, "a shard at rest has something left to do");
    require(groups_[group]->core->queued_events() == 0, "a shard at rest counts queued events");
    require(groups_[group]->core->agents_working() == 0, "a shard at rest has working agents");
    require(groups_[group]->core->agents_loaded() == 0, "idle agents are still in memory");
    const auto chain = check_chain(disk, group, chain_digest_of);
    require(chain.code.empty(), "the audit log is broken: ", chain.detail);
  }
}

void simulation::check_agents() {
  std::size_t snapshots = 0;
  for (const auto& name : past.names) {
    const auto& agent = past.agents.at(name);
    const auto group = group_of(name, partitions);
    require(is_idle(agent.state), to_string(name), " is not idle");
    const auto stored = load_agent(disk, group, name);
    require(bool{stored}, "a snapshot does not parse");
    require(stored->has_value() == (agent.state.seq != 0), to_string(name), " is there, or is not");
    if (!*stored)
      continue;
    ++snapshots;
    require(**stored == agent.state, "the snapshot of ", to_string(name),
            " is not what its facts add up to");
    // What is stored of each fact: some agents of each seed, all over many seeds.
    if (random.chance(250))
      require(recompute(disk, group, name) == **stored, "the journal of ", to_string(name),
              " does not add up to its snapshot");
    const bool planned = name.type == "plan" || name.type == "fragile" || name.type == "bomb";
    if (!planned || agent.state.memory_seq == 0)
      continue;
    const auto memory = stored_records{disk, group, name}.memory(agent.state.memory_seq);
    require(bool{memory}, "a memory is missing");
    const auto runs = nlohmann::json::parse(*memory).value("runs", std::string{});
    for (const auto& run : agent.runs) {
      const auto text = to_text(run.id);
      const auto first = runs.find(text);
      const bool once =
        first != std::string::npos && runs.find(text, first + 1) == std::string::npos;
      const auto& info = past.runs.at(run);
      if (info.carried)
        continue;
      require(first == std::string::npos || once, "an event changed the memory of ",
              to_string(name), " twice");
      require(once || info.how != run_status::completed, "an event did not change the memory of ",
              to_string(name));
    }
  }
  std::size_t stored = 0;
  for (group_id group = 1; group <= partitions; ++group)
    stored += keys_in(disk, family::snapshot, keys::agents(group));
  require(stored == snapshots, "a snapshot of an agent that nobody knows");
}

void simulation::check_keys() {
  require(disk.inner.size(family::timer) == 0, "a timer's key is left");
  require(disk.inner.size(family::mailbox) == 0, "a mailbox key is left");
  for (group_id group = 1; group <= partitions; ++group) {
    require(keys_in(disk, family::index, keys::ready_range(group)) == 0, "a ready key is left");
    require(keys_in(disk, family::index, keys::reconciles(group)) == 0, "a reconcile key is left");
  }
  require(disk.inner.size(family::dead_letter) == past.dead_letters.size(),
          "a dead letter too many, or too few");
  std::size_t runs = 0;
  for (const auto& [id, run] : past.runs) {
    if (run.deleted || (run.received == 0 && run.started == 0))
      continue;
    ++runs;
    const auto summary = load_run(disk, group_of(run.agent, partitions), id);
    require(summary && *summary, "a run has no summary");
    require((*summary)->status == run.how && (*summary)->ended_at != 0,
            "a run's summary is not how it ended");
    require((*summary)->event == run.event, "a run's summary names another event");
    const auto end = load_end(disk, group_of(run.agent, partitions), **summary);
    require(bool{end}, "a run's end cannot be read");
    require(end->output == run.output, "a run's stored output is another");
  }
  for (group_id group = 1; group <= partitions; ++group) {
    const auto range = keys::by_ids(group);
    for (auto at = disk.scan(family::run, range.lower, range.upper); at->valid(); at->next()) {
      const auto known = past.runs.find(run_id{*keys::id_of(at->key())});
      require(known != past.runs.end() && !known->second.deleted, "a run's summary is left");
    }
  }
  require(disk.inner.size(family::run) == runs, "a run too many, or too few");
}

void simulation::check_events() {
  for (const auto& [id, run] : past.runs) {
    require(run.received <= 1 && run.started <= 1 && run.ended <= 1, "a run was processed twice");
    if (run.received == 1)
      require(run.ended == 1 && (run.started == 1) == (run.skipped == 0),
              "an event was accepted and not processed");
  }
  users.check();
  sinks.check();
}

/// A restart at rest finds nothing to do.
void simulation::check_after_restart() {
  const auto records = seen.records;
  crash();
  settle();
  require(seen.records == records + partitions, "a restart at rest did something");
  check_agents();
}

}  // namespace holdfast::sim
