#pragma once
// One shard with its agents and calls for one term, as actors/shard.cpp and actors/agent.cpp run
// them, without actors: what would be a message in a mailbox is a pending thing that the scheduler
// picks in any order that CAF allows.

#include <deque>

#include "runtime/core/shard_core.hpp"
#include "tests/sim/outside.hpp"

namespace holdfast::sim {

class simulation;

class process final : public shard_host {
public:
  process(simulation& world, group_id group, std::uint64_t term, std::uint64_t id);

  // ---- what the scheduler picks
  void decide(std::size_t which);
  void hand_over(std::size_t which);
  void commit_next();
  /// With the first one that may, from `start`.
  void go_on_with_call(std::size_t start);
  void tick();
  void tick_early();  ///< without having been asked to
  /// The calls that are on their way take effect or not; nobody will hear.
  void die();

  /// A command or request of a client.
  void submit(const agent_name& to, queued_command queued);

  bool has_call(time_us now) const noexcept;  ///< that may go on
  time_us next_due() const noexcept;          ///< 0: nothing waits for time

  struct work_item {
    agent_name name;
    agent_work work;
  };
  struct commit_item {
    std::uint64_t index = 0;
    std::vector<std::shared_ptr<const turn_record>> records;
  };
  std::vector<work_item> works;
  std::vector<decided_turn> turns;
  std::deque<commit_item> commits;
  std::vector<effect_call> calls;
  time_us wake = 0;  ///< 0: nothing wished
  std::optional<shard_core> core;
  const group_id group;
  const std::uint64_t term;
  const std::uint64_t id;
  bool over = false;  ///< the core said so; it is to be deposed

private:
  time_us now() override;
  std::shared_ptr<const catalog> definitions() override;
  status propose(std::shared_ptr<const turn_record> record) override;
  void give(const agent_name& to, agent_work work) override;
  void passivate(const agent_name& who) override;
  void start_effect(const agent_name& of, const effect_state& effect) override;
  void stop_effect(const agent_name& of, std::uint32_t effect_no) override;
  void send(group_id target, const mail_stamp& stamp, const outbox_message& message) override;
  void acknowledge(group_id source, group_id target, std::uint64_t sequence, bool taken,
                   std::uint64_t epoch) override;
  void tell(const request_ref& to, answer what) override;
  void publish(std::shared_ptr<const turn_record> record) override;
  void wake_at(time_us due) override;
  void ended(errc why) override;

  agent_core& load(const agent_name& name);
  void send_call(effect_call& call);
  void report(const effect_call& call, attempt_outcome outcome);
  void spoil(decided_turn& turn);

  simulation& world_;
  turn_context context_;
  std::unordered_map<agent_name, agent_core> agents_;
  std::map<digest128, unsigned> in_flight_;  // for a defect
  std::optional<std::pair<agent_name, run_id>> entered_;
};

}  // namespace holdfast::sim
