#include "tests/sim/basics.hpp"

#include <utility>

namespace holdfast::sim {

namespace {

constexpr std::array<std::string_view, fault_count> fault_names{"mail_lost",
                                                                "mail_twice",
                                                                "receipt_lost",
                                                                "log_overloaded",
                                                                "log_not_leader",
                                                                "log_unknown_applied",
                                                                "log_unknown_dropped",
                                                                "write_refused",
                                                                "sync_failed_lost",
                                                                "sync_failed_kept",
                                                                "leader_lost_applied",
                                                                "leader_lost_dropped",
                                                                "crash",
                                                                "crash_in_handler",
                                                                "clock_back",
                                                                "clock_far_ahead",
                                                                "spurious_tick",
                                                                "handler_throws",
                                                                "effect_not_sent",
                                                                "effect_throttled",
                                                                "effect_transient",
                                                                "effect_rejected",
                                                                "effect_never_answers",
                                                                "effect_answers_late",
                                                                "effect_answers_twice",
                                                                "effect_performed_for_nobody",
                                                                "model_costs_more",
                                                                "request_repeated",
                                                                "request_lost"};

constexpr std::array<std::string_view, defect_count> defect_names{"none",
                                                                  "effect_before_commit",
                                                                  "ack_before_commit",
                                                                  "lost_dedup_record",
                                                                  "in_flight_dedup_forgotten",
                                                                  "timer_key_lost",
                                                                  "timer_key_kept",
                                                                  "outbox_renumbered",
                                                                  "inbound_ack_lost",
                                                                  "inbound_dedup_lost",
                                                                  "evolve_skips_fact",
                                                                  "entry_applied_twice",
                                                                  "recovery_restarts_writes",
                                                                  "unsynced_commit",
                                                                  "reservation_kept",
                                                                  "wake_lost",
                                                                  "committed_turn_forgotten",
                                                                  "mail_without_epoch",
                                                                  "receipt_without_epoch"};

template <std::size_t... I>
fact make_at(std::size_t index, std::index_sequence<I...>) {
  fact out;
  (void)((I == index && (out.emplace<I>(), true)) || ...);
  return out;
}

}  // namespace

fact fact_at_index(std::size_t index) {
  return make_at(index, std::make_index_sequence<std::variant_size_v<fact>>{});
}

std::string_view name_of(fault what) noexcept {
  return fault_names[static_cast<std::size_t>(what)];
}

std::string_view name_of(defect what) noexcept {
  return defect_names[static_cast<std::size_t>(what)];
}

}  // namespace holdfast::sim
