#include "runtime/gateway/api_table.hpp"

#include <array>

namespace holdfast {

namespace {

constexpr std::string_view page = "limit cursor";

constexpr std::array calls{
  // The hot path first: routes are tried in order.
  api_call{"POST", "/v1/agents/{type}/{key}/events", post_agent_event, "sendAgentEvent", "events",
           "Send an event to one agent", "wait", "AgentEvent", "Accepted", 202},
  api_call{"POST", "/v1/events", post_events, "sendEvents", "events", "Send CloudEvents to whatever agents want them",
           "", "CloudEvents", "AcceptedEvents", 202},
  api_call{"POST", "/v1/hooks/{source}", post_hook, "deliverHook", "hooks", "Deliver a webhook", "", "Any",
           "AcceptedEvents", 202},
  api_call{"GET", "/v1/events", list_events, "listEvents", "events", "Routed events, newest first",
           "type source limit cursor", "", "EventList"},
  api_call{"GET", "/v1/events/{id}", get_event, "getEvent", "events", "One event and where it went", "", "", "Event"},
  api_call{"POST", "/v1/events/{id}/replay", refuse_not_available, "replayEvent", "events", "Deliver an event again"},

  api_call{"GET", "/v1/agents", list_agents, "listAgents", "agents", "Agents by address",
           "type status where limit cursor", "", "AgentList"},
  api_call{"POST", "/v1/agents:batch", control_many, "controlAgents", "agents",
           "One verb for all agents that a jq expression matches", "", "BatchRequest", "BatchResult"},
  api_call{"GET", "/v1/agents/{type}/{key}", get_agent, "getAgent", "agents", "One agent", "", "", "Agent"},
  api_call{"DELETE", "/v1/agents/{type}/{key}", delete_agent, "deleteAgent", "agents",
           "Remove an agent with its state and history", "", "", "", 204},
  api_call{"GET", "/v1/agents/{type}/{key}/why", get_why, "explainAgent", "agents",
           "Why an agent waits, and what unblocks it", "", "", "Why"},
  api_call{"GET", "/v1/agents/{type}/{key}/state", get_state, "getState", "agents", "What an agent remembers", "", "",
           "State"},
  api_call{"PATCH", "/v1/agents/{type}/{key}/state", patch_agent_state, "patchState", "agents",
           "Change what an agent remembers (RFC 7396)", "", "Any", "State"},
  api_call{"GET", "/v1/agents/{type}/{key}/mailbox", get_mailbox, "getMailbox", "agents", "Events that wait", page, "",
           "List"},
  api_call{"GET", "/v1/agents/{type}/{key}/timers", get_timers, "getTimers", "agents", "Timers that are set", page, "",
           "List"},
  api_call{"GET", "/v1/agents/{type}/{key}/history", get_agent_history, "getHistory", "agents", "What happened",
           "run from limit cursor", "", "HistoryList"},
  api_call{"GET", "/v1/agents/{type}/{key}/stream", stream_agent, "streamAgent", "agents",
           "What happens, as server-sent events", "from", "", "stream"},
  api_call{"GET", "/v1/agents/{type}/{key}/socket", refuse_not_available, "openSocket", "agents",
           "What happens, and commands, over a WebSocket"},
  api_call{"POST", "/v1/agents/{type}/{key}/pause", pause_agent, "pauseAgent", "agents",
           "Nothing new starts, running effects finish", "", "Reason", "Agent"},
  api_call{"POST", "/v1/agents/{type}/{key}/resume", resume_agent, "resumeAgent", "agents", "Lift pause and quarantine",
           "", "Reason", "Agent"},
  api_call{"POST", "/v1/agents/{type}/{key}/cancel", cancel_agent, "cancelAgent", "agents",
           "End the open run after its open effects", "", "Reason", "Agent"},
  api_call{"POST", "/v1/agents/{type}/{key}/kill", kill_agent, "killAgent", "agents", "End the open run now", "",
           "Reason", "Agent"},
  api_call{"POST", "/v1/agents/{type}/{key}/retry", retry_agent, "retryAgent", "agents",
           "Fire a waiting backoff, or run again from the failed effect", "", "RetryRequest", "Agent"},
  api_call{"POST", "/v1/agents/{type}/{key}/quarantine", quarantine_agent, "quarantineAgent", "agents",
           "As pause, and left out of batches", "", "Reason", "Agent"},
  api_call{"POST", "/v1/agents/{type}/{key}/fork", fork_agent, "forkAgent", "agents",
           "A copy of an agent as it was, under another key", "", "ForkRequest", "Agent"},

  api_call{"GET", "/v1/runs", list_runs, "listRuns", "runs", "Runs, newest first", "agent status limit cursor", "",
           "RunList"},
  api_call{"GET", "/v1/runs/{id}", get_run, "getRun", "runs", "One run", "", "", "Run"},
  api_call{"GET", "/v1/runs/{id}/history", get_run_history, "getRunHistory", "runs", "What happened in one run",
           "from limit cursor", "", "HistoryList"},
  api_call{"GET", "/v1/runs/{id}/stream", stream_run, "streamRun", "runs", "One run, as server-sent events", "from", "",
           "stream"},
  api_call{"POST", "/v1/runs/{id}/cancel", cancel_run_call, "cancelRun", "runs", "End a run after its open effects", "",
           "Reason", "Run"},
  api_call{"POST", "/v1/runs/{id}/retry", retry_run_call, "retryRun", "runs", "Run again from the failed effect", "",
           "RetryRequest", "Run"},

  api_call{"GET", "/v1/reconcile", list_reconciles, "listReconciles", "reconcile",
           "Effects whose outcome only a person can tell", page, "", "List"},
  api_call{"POST", "/v1/reconcile/{id}", post_reconcile, "resolveReconcile", "reconcile", "Tell what came of one", "",
           "Resolution", "Any"},
  api_call{"GET", "/v1/dlq", list_dead_letters, "listDeadLetters", "dead letters",
           "Events that could not be delivered or handled", page, "", "List"},
  api_call{"GET", "/v1/dlq/{id}", get_dead_letter, "getDeadLetter", "dead letters", "One of them, with the reason", "",
           "", "Any"},
  api_call{"POST", "/v1/dlq/{id}/redrive", redrive_dead_letter, "redriveDeadLetter", "dead letters",
           "Deliver it again", "", "Reason", "Any"},
  api_call{"POST", "/v1/dlq/{id}/drop", drop_dead_letter, "dropDeadLetter", "dead letters", "Forget it", "", "Reason",
           "", 204},
  api_call{"DELETE", "/v1/dlq/{id}", drop_dead_letter, "deleteDeadLetter", "dead letters", "Forget it", "", "", "", 204},

  api_call{"PUT", "/v1/definitions", put_definitions, "applyDefinitions", "definitions",
           "Make definitions current: all of them or, with an error in one, none", "dry_run", "Definitions", "Applied"},
  api_call{"GET", "/v1/types", list_types, "listTypes", "definitions", "Agent types", page, "", "List"},
  api_call{"GET", "/v1/types/{type}", get_type, "getType", "definitions", "One type and its definition", "", "", "Any"},
  api_call{"GET", "/v1/types/{type}/versions", get_type_versions, "listTypeVersions", "definitions",
           "Every version of a type, newest first", page, "", "List"},
  api_call{"POST", "/v1/types/{type}/rollout", refuse_not_available, "rolloutType", "definitions",
           "Give new runs a version, all or some of them"},
  api_call{"POST", "/v1/types/{type}/rollback", refuse_not_available, "rollbackType", "definitions",
           "Give new runs the version before"},
  api_call{"GET", "/v1/hooks", list_hooks, "listHooks", "hooks", "Webhooks that are taken", "", "", "List"},
  api_call{"GET", "/v1/hooks/{source}", get_hook, "getHook", "hooks", "One webhook", "", "", "Any"},
  api_call{"POST", "/v1/hooks/{source}/test", test_hook, "testHook", "hooks",
           "What a delivery would do; nothing is stored", "", "Any", "Any"},

  api_call{"GET", "/v1/approvals", refuse_not_available, "listApprovals", "approvals", "Calls that wait for approval"},
  api_call{"GET", "/v1/approvals/{id}", refuse_not_available, "getApproval", "approvals", "One of them"},
  api_call{"POST", "/v1/approvals/{id}", refuse_not_available, "decideApproval", "approvals", "Approve or deny a call"},
  api_call{"GET", "/v1/schedules", refuse_not_available, "listSchedules", "schedules", "Schedules"},
  api_call{"POST", "/v1/schedules", refuse_not_available, "createSchedule", "schedules", "Make a schedule"},
  api_call{"*", "/v1/schedules/{rest...}", refuse_not_available, "schedules", "schedules", "One schedule"},
  api_call{"GET", "/v1/budgets", refuse_not_available, "listBudgets", "budgets", "Budgets"},
  api_call{"POST", "/v1/budgets", refuse_not_available, "setBudget", "budgets", "Set a budget"},
  api_call{"*", "/v1/budgets/{rest...}", refuse_not_available, "budgets", "budgets", "One budget"},
  api_call{"GET", "/v1/kill-switch", refuse_not_available, "getKillSwitch", "kill switch", "Is it fired"},
  api_call{"POST", "/v1/kill-switch", refuse_not_available, "fireKillSwitch", "kill switch", "Fire or release it"},
  api_call{"*", "/v1/kill-switch/{rest...}", refuse_not_available, "kill switch", "kill switch", "Fire or release it"},
  api_call{"GET", "/v1/audit", refuse_not_available, "listAudit", "node", "The audit log"},
  api_call{"GET", "/v1/nodes", refuse_not_available, "listNodes", "node", "Nodes of the cluster"},
  api_call{"*", "/v1/nodes/{rest...}", refuse_not_available, "nodes", "node", "Cordon, drain, uncordon, remove"},
  api_call{"GET", "/v1/cluster", refuse_not_available, "getCluster", "node", "Nodes and partitions"},
  api_call{"*", "/v1/cluster/{rest...}", refuse_not_available, "cluster", "node", "Join, rebalance, back up"},
  api_call{"*", "/v1/auth/{rest...}", refuse_not_available, "API keys", "node", "API keys"},
  api_call{"*", "/v1/policies/{rest...}", refuse_not_available, "policies", "node", "Policies"},
  api_call{"*", "/console", refuse_not_available, "the web console", "node", "The web console"},
  api_call{"*", "/console/{rest...}", refuse_not_available, "the web console", "node", "The web console"},

  api_call{"GET", "/v1/doctor", get_doctor, "examineNode", "node", "Proves that nothing is silently stuck", "", "",
           "Doctor"},
  api_call{"GET", "/healthz", get_health, "getHealth", "node", "The process lives", "", "", "Any"},
  api_call{"GET", "/readyz", get_readiness, "getReadiness", "node", "The node takes work", "", "", "Any"},
  api_call{"GET", "/metrics", get_metrics, "getMetrics", "node", "Prometheus text", "", "", "text"},
  api_call{"GET", "/openapi.json", get_openapi, "getOpenApi", "node", "This document", "", "", "Any"},
};

}  // namespace

std::span<const api_call> api_calls() noexcept {
  return calls;
}

}  // namespace holdfast
