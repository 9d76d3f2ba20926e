#pragma once
// What serves each call; `api_table` says which. Each takes the call over and answers it, now or
// later, on any thread.

#include "runtime/gateway/call.hpp"

namespace holdfast {

using serve_function = void (*)(call&&);

// event_requests.cpp
void post_agent_event(call&& c);
void post_events(call&& c);
// hook_requests.cpp
void post_hook(call&& c);
void test_hook(call&& c);
void list_hooks(call&& c);
void get_hook(call&& c);
// event_log_requests.cpp
void list_events(call&& c);
void get_event(call&& c);
// agent_requests.cpp
void list_agents(call&& c);
void get_agent(call&& c);
void get_why(call&& c);
void get_state(call&& c);
void get_mailbox(call&& c);
void get_timers(call&& c);
// history_requests.cpp
void get_agent_history(call&& c);
void get_run_history(call&& c);
// control_requests.cpp
void pause_agent(call&& c);
void resume_agent(call&& c);
void cancel_agent(call&& c);
void kill_agent(call&& c);
void retry_agent(call&& c);
void quarantine_agent(call&& c);
void delete_agent(call&& c);
void fork_agent(call&& c);
void patch_agent_state(call&& c);
void cancel_run_call(call&& c);
void retry_run_call(call&& c);
// batch_requests.cpp
void control_many(call&& c);
// run_requests.cpp
void list_runs(call&& c);
void get_run(call&& c);
// stream_requests.cpp
void stream_run(call&& c);
void stream_agent(call&& c);
// definition_requests.cpp
void put_definitions(call&& c);
void list_types(call&& c);
void get_type(call&& c);
void get_type_versions(call&& c);
// reconcile_requests.cpp
void list_reconciles(call&& c);
void post_reconcile(call&& c);
// dead_letter_requests.cpp
void list_dead_letters(call&& c);
void get_dead_letter(call&& c);
void redrive_dead_letter(call&& c);
void drop_dead_letter(call&& c);
// audit_requests.cpp
void list_audit(call&& c);
// cluster_requests.cpp
void get_cluster(call&& c);
void list_nodes(call&& c);
void get_node(call&& c);
void cordon_node(call&& c);
void uncordon_node(call&& c);
void drain_node(call&& c);
void rebalance_cluster(call&& c);
/// `{"reason"}` or nothing.
std::optional<refusal> check_reason(const call& c);
// backup_requests.cpp
void take_backup(call&& c);
// membership_requests.cpp
void add_member_node(call&& c);
void remove_member_node(call&& c);
// node_requests.cpp
void get_health(call&& c);
void get_readiness(call&& c);
void get_metrics(call&& c);
void get_doctor(call&& c);
void get_openapi(call&& c);
/// Named by the contract, delivered by a later release: 422 that says what.
void refuse_not_available(call&& c);

}  // namespace holdfast
