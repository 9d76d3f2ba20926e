#pragma once
// The orchestrator of one partition on its leader: hands commands to agents, one turn at a time each, proposes what
// they decide in order, and acts on what comes back committed (DESIGN §3). No thread, clock or socket: the actor around
// it — or the simulator — calls in and does what `shard_host` asks.

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <unordered_map>

#include "persistence/store.hpp"
#include "runtime/core/access.hpp"
#include "runtime/core/agent_core.hpp"
#include "runtime/core/answer.hpp"
#include "runtime/core/outbox.hpp"

namespace holdfast {

/// Commands for one agent; the next ones follow only after its turn came back.
struct agent_work {
  enum class verdict : std::uint8_t { none, committed, discarded };
  verdict previous = verdict::none;  ///< what became of the turn before
  std::vector<queued_command> commands;
};

/// What a message says of its way beside itself.
struct mail_stamp {
  group_id source = 0;
  std::uint64_t sequence = 0;
  std::uint64_t epoch = 0;  ///< of the source's last backup cut
  bool restored = false;    ///< it was on its way in the backup that the source came out of
};

/// What a shard asks of the world. Calls must not come back into the shard before they return.
class shard_host {
public:
  virtual ~shard_host() = default;
  virtual time_us now() = 0;
  virtual std::shared_ptr<const catalog> definitions() = 0;
  /// Errors: `overloaded` (was not appended), anything else ends the shard.
  virtual status propose(std::shared_ptr<const turn_record> record) = 0;
  /// Loads the agent when it is not there, and has it decide.
  virtual void give(const agent_name& to, agent_work work) = 0;
  virtual void passivate(const agent_name& who) = 0;
  virtual void start_effect(const agent_name& of, const effect_state& effect) = 0;
  virtual void stop_effect(const agent_name& of, std::uint32_t effect_no) = 0;
  virtual void send(group_id target, const mail_stamp& stamp, const outbox_message& message) = 0;
  /// To the source of an inbound message: taken, or to be sent again later. `epoch`: of this group's last backup cut.
  virtual void acknowledge(group_id source, group_id target, std::uint64_t sequence, bool taken,
                           std::uint64_t epoch) = 0;
  virtual void tell(const request_ref& to, answer what) = 0;
  virtual void publish(std::shared_ptr<const turn_record> record) = 0;
  /// Calls `tick` at that time; an earlier wish replaces a later one.
  virtual void wake_at(time_us due) = 0;
  /// The shard leads: from now on it decides.
  virtual void started() {}
  /// The shard is over: its outcome is unknown to it, a new one loads from the log.
  virtual void ended(errc why) = 0;
};

struct shard_options {
  group_id group = 1;
  std::uint16_t partitions = partitions_default;
  std::uint64_t term = 1;
  std::string node = "n1";
  std::size_t queued_events_max = 4'096;  ///< client events in memory, of all agents
  std::size_t waiters_max = 1'000;        ///< clients that wait for the end of one run
  std::size_t commands_per_turn_max = 64;
  std::size_t deferred_max = 1'024;        ///< other requests that wait for the term to begin
  std::int64_t agent_idle_us = 5'000'000;  ///< then it is passivated
  std::size_t agents_loaded_max = 20'000;
  std::uint64_t inbound_beyond_max =
    4'096;  ///< messages taken from one source beyond one that waits for room
};

class shard_core {
public:
  shard_core(shard_options options, const reader& records, shard_host& host);

  /// Proposes `leader_started`; nothing is decided before it is committed. Then loads what is ready, the outbox, and the
  /// due timers.
  void start();

  void submit(const agent_name& to, queued_command queued);
  /// Refused (`forbidden`) when an agent type outside the sender's scope wants the event.
  void route(event e, std::string verified, std::optional<idempotency> once, request_ref from,
             const event_sender& sender = {});
  void wait_for(run_id run, request_ref from);
  void fork(const agent_name& from, seq_no at, agent_name to, request_ref client,
            const std::shared_ptr<const audit_recorded>& audit = {});
  void settle_dead_letter(event_id id, bool redrive, request_ref from,
                          const std::shared_ptr<const audit_recorded>& audit = {});

  void decided(decided_turn turn);
  void committed(std::uint64_t index,
                 const std::vector<std::shared_ptr<const turn_record>>& records);

  void inbound(const mail_stamp& stamp, outbox_message message);
  void acknowledged(group_id target, std::uint64_t sequence, bool taken, std::uint64_t epoch = 0);
  /// Proposes that the group's part of a backup ends here, unless it has. What comes with a newer epoch than the group's
  /// own is taken only behind this (Chandy, Lamport, "Distributed Snapshots", 1985): so a backup holds what was sent in
  /// it as taken or still to be sent, and nothing that was sent after it.
  void cut(std::uint64_t epoch);
  void tick();

  /// True when a process that died inside a handler left this run behind.
  void count_crash(const agent_name& of, run_id run);

  std::size_t agents_loaded() const noexcept { return cells_.size(); }
  std::size_t queued_events() const noexcept { return queued_events_; }
  bool is_started() const noexcept { return started_; }
  bool is_ended() const noexcept { return ended_; }
  std::size_t agents_working() const noexcept { return working_; }
  /// What it has still to tell, take, fire or write; nothing when it is at rest.
  std::size_t unfinished() const noexcept {
    return once_.size() + taking_.size() + waiters_.size() + partition_turns_.size() +
           refused_.size() + acks_.size() + firing_.size() + forks_.size() + settling_.size() +
           deferred_.size();
  }

private:
  /// One agent that is in memory, or about to be.
  struct cell {
    std::deque<queued_command> inbox;
    std::optional<decided_turn> in_flight;
    agent_work::verdict verdict = agent_work::verdict::none;
    bool working = false;
    bool more = false;
    bool holding = false;  ///< its first command holds what it had open in a backup
    time_us used_at = 0;
  };
  struct waiter {
    request_ref from;
    event_id event;
    bool replayed = false;
  };
  struct repeat {
    request_ref from;
    digest128 body;
    bool until_end = false;
  };
  /// Asked before the term had begun.
  struct deferred_request {
    request_ref from;
    std::function<void()> ask;
  };
  struct once_in_flight {
    digest128 body;
    std::vector<repeat> repeats;
  };
  /// A record of the partition alone, on its way.
  struct partition_turn {
    request_ref from;
    std::optional<answer> then;
    std::optional<digest128> once;
    std::vector<std::pair<group_id, std::uint64_t>> acked;
    std::vector<std::pair<group_id, std::uint64_t>> sent;
    request_ref forks;               ///< told when the target took the copy
    std::optional<event_id> letter;  ///< that it drops
  };

  time_us stamp();
  void enqueue(const agent_name& to, queued_command queued);
  void pump(const agent_name& name, cell& c);
  void propose_turn(const agent_name& name, cell& c);
  bool propose(std::shared_ptr<const turn_record> record, bool& overloaded);
  bool decides() const noexcept { return started_ && !ended_; }
  void defer(const request_ref& from, std::function<void()> ask);
  void propose_partition(std::shared_ptr<turn_record> record, partition_turn turn);
  void refuse(cell& c, const error& why);
  void number_messages(turn_record& record);
  void forget_numbers(const turn_record& record);
  void finish_turn(const agent_name& name, cell& c);
  void act_on(const turn_record& record);
  void tell_results(const decided_turn& turn);
  void tell_repeats(const digest128& scope, const answer& first);
  void add_waiter(const run_id& run, waiter who);
  void tell_end(const ended_run& end);
  bool is_repeat(const digest128& scope, const digest128& body, const repeat& again);
  void answer_repeat(const idempotency_recorded& first, const repeat& again);
  void await_end(const run_id& run, waiter who);
  void fire_due_timers();
  void flush_acks();
  void retry_refused();
  void passivate_idle();
  void begin();
  void hold_open_work();
  void load_ready();
  void send_due();
  void plan_wake();
  void end(errc why);

  shard_options options_;
  const reader& records_;
  shard_host& host_;
  partition_state partition_;  // committed
  outbox outbox_;
  std::map<std::pair<group_id, std::uint64_t>, bool> taking_;  // inbound, not committed yet
  std::unordered_map<agent_name, cell> cells_;
  std::map<digest128, once_in_flight> once_;
  std::unordered_map<run_id, std::vector<waiter>> waiters_;
  std::vector<deferred_request> deferred_;
  std::map<const turn_record*, partition_turn> partition_turns_;
  std::deque<std::shared_ptr<const turn_record>>
    refused_;  // must be proposed again: they hold outcomes
  std::vector<std::pair<group_id, std::uint64_t>> acks_;
  std::map<std::pair<agent_name, std::uint64_t>, time_us> firing_;
  std::map<std::pair<group_id, std::uint64_t>, request_ref> forks_;
  std::set<event_id> settling_;  ///< dead letters that are on their way out
  time_us last_stamp_ = 0;
  time_us next_due_ = 0;  // 0: no timer is known
  time_us timers_from_ = 0;
  time_us swept_at_ = 0;
  std::uint64_t event_number_ = 0;
  std::uint64_t cut_proposed_ = 0;
  std::string held_until_;  // key of the last agent that was looked at after a restore
  std::size_t holding_ = 0;
  std::size_t queued_events_ = 0;
  std::size_t working_ = 0;
  bool started_ = false;
  bool ended_ = false;
};

}  // namespace holdfast
