#pragma once
// The steps that runs are made of, shared by the deciders and the behaviours: starting, asking for effects within the
// run's limits, ending with nothing left behind.

#include "runtime/core/behaviour.hpp"

namespace holdfast {

/// The event as jq sees it: a CloudEvents document, `data` as JSON where it is JSON.
std::string event_document(const event& e);

struct tool_request {
  std::string tool;
  effect_kind kind = effect_kind::tool;
  effect_class cls = effect_class::write;
  std::string input;    ///< JSON text
  std::string call_id;  ///< empty for native agents
};

/// Declares a tool call, or fails the run when it reached `limits.steps`. Returns the effect's number, 0 when the run
/// ended instead.
std::uint32_t request_tool(turn_builder& turn, const compiled_agent& spec, tool_request request);

/// Declares a model call over the conversation with its reservation, or fails the run at a limit. `options` is for
/// native agents (their own messages); `bytes` is the size of the conversation to be sent.
std::uint32_t request_model(turn_builder& turn, const compiled_agent& spec, std::string options,
                            std::uint64_t bytes);

struct reservation {
  std::uint64_t tokens = 0;
  nano_usd cost = 0;
};
/// What one call can cost at most: `bytes` of conversation, bounded by the window, and the longest answer.
reservation reservation_for(const turn_builder& turn, const compiled_agent& spec,
                            const std::string& model, std::uint64_t bytes);

struct agent_request {
  agent_name target;
  event sent;
  std::string tool;     ///< under which name its answer comes back
  std::string call_id;  ///< empty for native agents
};
/// Declares a question to another agent; the message goes through the outbox of the same record.
std::uint32_t request_agent(turn_builder& turn, const compiled_agent& spec, agent_request request);

/// Sends an event to another agent without waiting for an answer.
void send_event(turn_builder& turn, agent_name target, event sent);

/// Reserves anew for another attempt of an open model call; fails the run and returns false at a limit.
bool reserve(turn_builder& turn, const compiled_agent& spec, std::uint32_t effect_no,
             const reservation& wanted);

/// Ends the open run. Its timers are cancelled; open effects are abandoned, started writes become unknown and wait in
/// the reconcile inbox; an agent that asked gets its answer.
void complete_run(turn_builder& turn, std::string output);
void fail_run(turn_builder& turn, failure error);
void cancel_run(turn_builder& turn, std::string reason);

/// Tells the agent that asked, if one did, that its question will not be answered: no run of it will end.
void refuse_asker(turn_builder& turn, const std::optional<reply_address>& asker, failure why);

/// Appends a message to the agent's conversation.
void append_message(turn_builder& turn, message m);

/// Calls the run's behaviour, or keeps the trigger for later when its handler throws or an earlier one is still due.
void call_behaviour(turn_builder& turn, const trigger& t);

/// A handler threw, or the process died in it: it is called again after a backoff, or, after
/// `handler_attempts`, its event becomes a dead letter and the run fails.
void count_handler_failure(turn_builder& turn, seq_no trigger, std::string reason);

}  // namespace holdfast
