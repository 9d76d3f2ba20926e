#include "schemas/fact.hpp"

#include <array>

#include "schemas/command.hpp"

namespace holdfast {

namespace {

// In the order of the variant.
constexpr std::array<std::string_view, std::variant_size_v<fact>> names{"event_received",
                                                                        "run_started",
                                                                        "model_requested",
                                                                        "model_completed",
                                                                        "tool_requested",
                                                                        "tool_completed",
                                                                        "effect_started",
                                                                        "effect_failed",
                                                                        "effect_retry_scheduled",
                                                                        "effect_unknown",
                                                                        "effect_reconciled",
                                                                        "timer_set",
                                                                        "timer_fired",
                                                                        "timer_cancelled",
                                                                        "message_sent",
                                                                        "state_changed",
                                                                        "budget_reserved",
                                                                        "budget_settled",
                                                                        "run_completed",
                                                                        "run_failed",
                                                                        "run_cancelled",
                                                                        "paused",
                                                                        "resumed",
                                                                        "quarantined",
                                                                        "killed",
                                                                        "dead_lettered",
                                                                        "forked",
                                                                        "message_appended",
                                                                        "text_streamed",
                                                                        "text_emitted",
                                                                        "handler_failed",
                                                                        "awaiting_event",
                                                                        "awaited_event_received",
                                                                        "cancel_requested",
                                                                        "effect_abandoned",
                                                                        "agent_deleted",
                                                                        "tool_refused",
                                                                        "leader_started",
                                                                        "event_routed",
                                                                        "idempotency_recorded",
                                                                        "outbox_acked",
                                                                        "inbound_accepted",
                                                                        "dead_letter_dropped",
                                                                        "definition_applied",
                                                                        "handler_recovered",
                                                                        "event_skipped",
                                                                        "output_refused",
                                                                        "audit_recorded",
                                                                        "node_added",
                                                                        "node_removed",
                                                                        "node_changed",
                                                                        "cluster_changed",
                                                                        "restored",
                                                                        "backup_cut",
                                                                        "group_restored",
                                                                        "restore_finished"};

template <class T>
constexpr bool concerns_partition =
  std::is_same_v<T, leader_started> || std::is_same_v<T, event_routed> ||
  std::is_same_v<T, idempotency_recorded> || std::is_same_v<T, outbox_acked> ||
  std::is_same_v<T, inbound_accepted> || std::is_same_v<T, dead_letter_dropped> ||
  std::is_same_v<T, definition_applied> || std::is_same_v<T, audit_recorded> ||
  std::is_same_v<T, backup_cut> || std::is_same_v<T, group_restored> ||
  std::is_same_v<T, restore_finished> || std::is_same_v<T, node_added> ||
  std::is_same_v<T, node_removed> || std::is_same_v<T, node_changed> ||
  std::is_same_v<T, cluster_changed>;

}  // namespace

bool is_partition_fact(const fact& f) noexcept {
  return std::visit([]<class T>(const T&) { return concerns_partition<T>; }, f);
}

std::string_view name_of(const fact& f) noexcept { return names[f.index()]; }

std::string_view to_string(control_verb verb) noexcept {
  switch (verb) {
    case control_verb::pause:
      return "pause";
    case control_verb::resume:
      return "resume";
    case control_verb::cancel:
      return "cancel";
    case control_verb::kill:
      return "kill";
    case control_verb::quarantine:
      return "quarantine";
    case control_verb::retry:
      return "retry";
    case control_verb::remove:
      return "delete";
  }
  return "pause";
}

}  // namespace holdfast
