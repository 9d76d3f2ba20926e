#pragma once
// What was committed, kept outside of the code under test: every record as the log made it durable,
// and what it adds up to. Checks the promises that can be broken by one record.

#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "persistence/store.hpp"
#include "runtime/core/catalog.hpp"
#include "schemas/state.hpp"
#include "tests/sim/basics.hpp"

namespace holdfast::sim {

/// An effect of some run, over all its attempts.
struct effect_key {
  run_id run;
  std::uint32_t no = 0;
  bool operator==(const effect_key&) const = default;
};
struct effect_key_hash {
  std::size_t operator()(const effect_key& key) const noexcept {
    return std::hash<run_id>{}(key.run) * 31 + key.no;
  }
};

struct effect_info {
  agent_name agent;
  effect_kind kind = effect_kind::tool;
  effect_class cls = effect_class::write;
  std::string name;
  digest128 digest;
  bool finished = false;                            ///< an outcome is committed
  bool answered = false;                            ///< which came from outside, and is a success
  unsigned retries_granted = 0;                     ///< by reconciling
  std::map<std::uint32_t, std::uint64_t> streamed;  ///< bytes, of each attempt
};

struct run_info {
  agent_name agent;
  event_id event;
  unsigned received = 0;
  unsigned started = 0;
  unsigned ended = 0;
  unsigned skipped = 0;
  unsigned buried = 0;  ///< dead letters
  bool carried = false;
  bool deleted = false;  ///< with its agent
  run_status how = run_status::queued;
  std::string output;
  std::uint64_t emitted = 0;  ///< bytes
  usage used;                 ///< when it ended
};

/// What a fork takes along.
struct copied_state {
  digest128 conversation;
  std::string memory;
  bool operator==(const copied_state&) const = default;
};

struct agent_info {
  agent_state state;
  /// Started, of this agent and not of one that was deleted under its name.
  std::vector<run_id> runs;
  std::set<digest128> paid;               ///< model requests of llm agents that were answered
  std::map<seq_no, copied_state> copies;  ///< after each fact that changes it
};

class history {
public:
  history(coverage& seen, std::uint16_t partitions) : seen_(seen), partitions_(partitions) {}

  /// A record that is durable and applied. `disk` holds it already.
  void take(group_id group, const turn_record& record, const reader& disk,
            const catalog& definitions);

  using effects_by_key = std::unordered_map<effect_key, effect_info, effect_key_hash>;
  const effects_by_key& effects() const noexcept { return effects_; }
  const effect_info* effect(const effect_key& key) const;
  /// Deliveries of a client's event to an agent: received, joined or buried.
  unsigned deliveries(const std::string& tag, const agent_name& to) const;
  unsigned deliveries(const std::string& tag) const;
  /// How often a person sent it on its way again.
  unsigned redrives(const std::string& tag, const agent_name& to) const;
  bool has_routed(const event_id& id) const { return routed_.contains(id); }
  bool knows_event(const event_id& id) const { return events_.contains(id); }
  /// At rest: the agent that this effect asked has yet to answer.
  bool may_be_answered(const effect_key& asked) const;
  /// The event joined an open run of this agent.
  bool joined(const event_id& id, const agent_name& of) const { return joined_.contains({id, of}); }

  std::unordered_map<agent_name, agent_info> agents;
  std::vector<agent_name> names;  ///< in the order of their first record
  std::unordered_map<run_id, run_info> runs;
  std::vector<run_id> received;  ///< runs, in the order in which their events arrived
  std::set<std::pair<group_id, event_id>> dead_letters;
  /// Messages that were sent and not yet taken: (source, target, sequence).
  struct sent_message {
    agent_name target;
    run_id run;
  };
  std::map<std::tuple<group_id, group_id, std::uint64_t>, sent_message> on_their_way;
  std::set<std::tuple<group_id, group_id, std::uint64_t>> acked;
  std::uint64_t digest = 1469598103934665603ULL;  ///< of the trace

  /// Mixes into the digest of the trace.
  void mix(std::uint64_t value) noexcept { digest = (digest ^ value) * 1099511628211ULL; }

private:
  void before(agent_info& agent, const fact& f, time_us at, const catalog& definitions);
  void after(group_id group, agent_info& agent, const fact& f, const catalog& definitions);
  void take_of_partition(group_id group, const turn_record& record, const fact& f);
  void take_fork(const outbox_message& fork);
  void check_at_rest(group_id group, const agent_info& agent, const reader& disk) const;
  void close(const agent_state& state, std::uint32_t effect_no, bool finished, bool answered);
  void end(const agent_info& agent, const run_id& run, run_status how, const std::string& output);
  void count_delivery(const event& e, const agent_name& to);

  coverage& seen_;
  std::uint16_t partitions_;
  effects_by_key effects_;
  std::map<std::string, std::map<agent_name, unsigned>> deliveries_;
  std::map<std::string, std::map<agent_name, unsigned>> redriven_;
  std::set<event_id> events_;
  std::set<event_id> routed_;
  std::set<std::pair<event_id, agent_name>> joined_;
  std::unordered_map<effect_key, run_id, effect_key_hash> asked_;
  std::set<run_id> called_off_;  ///< whose answer nobody wants any more
  /// By target, source and place: one name may be forked to again when it was deleted.
  std::map<std::tuple<agent_name, agent_name, seq_no>, std::vector<copied_state>> forks_;
  std::map<std::pair<group_id, group_id>, std::uint64_t> sent_last_;
  std::set<std::tuple<group_id, group_id, std::uint64_t>> taken_;
  std::map<group_id, time_us> stamped_last_;
};

}  // namespace holdfast::sim
