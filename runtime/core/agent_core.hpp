#pragma once
// One agent in memory: the committed state, and at most one turn on its way to the log. Pure; the actor around it
// moves messages.

#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "runtime/core/decide.hpp"

namespace holdfast {

/// A client that waits, wherever it is: only this crosses into a shard (DESIGN §3).
struct request_ref {
  std::uint32_t node = 0;
  std::uint64_t id = 0;  ///< 0: nobody waits
  auto operator<=>(const request_ref&) const = default;
};

/// How a repeat of the same request is recognised.
struct idempotency {
  digest128 scope;
  digest128 body;  ///< empty: any body is the same request
  time_us expires = 0;
};

struct inbound_ref {
  group_id source = 0;
  std::uint64_t sequence = 0;
};

/// A command on its way to an agent, and who is to be told.
struct queued_command {
  command cmd;
  request_ref from;
  bool until_end = false;  ///< the client waits for the run to end
  std::optional<idempotency> once;
  std::optional<inbound_ref> inbound;  ///< it came through another partition's outbox
  /// Stands in the record of what the command does; a refused one leaves none.
  std::shared_ptr<const audit_recorded> audit = {};
};

/// What became of one command.
struct command_result {
  request_ref from;
  bool until_end = false;
  std::optional<inbound_ref> inbound;
  std::optional<digest128> once;
  std::optional<error> refused;
  decision decided;
};

/// A decided turn. `record` is null when nothing changed: then the results may be told at once.
struct decided_turn {
  agent_name agent;
  std::shared_ptr<turn_record>
    record;  ///< the shard numbers its outgoing messages before it is proposed
  std::vector<command_result> results;
  std::vector<ended_run> ended;
  std::vector<effect_state> starts;
  bool more = false;        ///< there is work left for another turn
  bool may_refuse = false;  ///< only new events: the log may refuse it for lack of room
  bool busy = false;        ///< the agent has something open; keep it in memory
};

class agent_core {
public:
  explicit agent_core(agent_state committed) : committed_(std::move(committed)) {}

  const agent_state& state() const noexcept { return committed_; }

  /// Decides the commands, in order, into one turn. Must not be called while one is on its way.
  decided_turn take(std::vector<queued_command> commands, const turn_context& context,
                    const agent_records& records);

  /// The turn is committed: its state is the state.
  void committed();
  /// It was not appended.
  void discarded() { proposed_.reset(); }

private:
  agent_state committed_;
  std::optional<agent_state> proposed_;
};

}  // namespace holdfast
