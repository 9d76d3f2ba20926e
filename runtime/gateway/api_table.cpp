#include "runtime/gateway/api_table.hpp"

#include <array>

namespace holdfast {

namespace {

constexpr std::string_view paging = "limit cursor";

/// What a route asks of a key: permission, agent types, what it leaves behind.
namespace rule {

using asks = access_rule;
using may = permission;
using of = type_rule;
using leaves = call_effect;

constexpr asks in_the_open{may::none, of::nothing, leaves::reads};
constexpr asks deliver_hook{may::none, of::nothing, leaves::delivers};
constexpr asks view_page{may::view, of::nothing, leaves::reads};
constexpr asks view_path{may::view, of::path, leaves::reads};
constexpr asks view_found{may::view, of::found, leaves::reads};
constexpr asks view_all{may::view, of::every, leaves::reads};
constexpr asks send_to_agent{may::develop, of::path, leaves::delivers};
constexpr asks send{may::develop, of::found, leaves::delivers};
constexpr asks replay{may::develop, of::found, leaves::acts};
constexpr asks open_socket{may::develop, of::path, leaves::delivers};
constexpr asks try_hook{may::develop, of::every, leaves::reads};
constexpr asks define{may::develop, of::found, leaves::acts};
constexpr asks define_path{may::develop, of::path, leaves::acts};
constexpr asks define_all{may::develop, of::every, leaves::acts};
constexpr asks control_path{may::control, of::path, leaves::acts};
constexpr asks control_found{may::control, of::found, leaves::acts};
constexpr asks control_all{may::control, of::every, leaves::acts};
constexpr asks administer{may::administer, of::every, leaves::acts};
constexpr asks read_audit{may::administer, of::every, leaves::reads};
constexpr asks keys{may::administer, of::every, leaves::acts, may::administer};

}  // namespace rule

constexpr std::array calls{
  // The hot path first: routes are tried in order.
  api_call{"POST", "/v1/agents/{type}/{key}/events", post_agent_event, rule::send_to_agent,
           "sendAgentEvent", "events", "Send an event to one agent", "wait", "AgentEvent",
           "Accepted", 202},
  api_call{"POST", "/v1/events", post_events, rule::send, "sendEvents", "events",
           "Send CloudEvents to whatever agents want them", "", "CloudEvents", "AcceptedEvents",
           202},
  api_call{"POST", "/v1/hooks/{source}", post_hook, rule::deliver_hook, "deliverHook", "hooks",
           "Deliver a webhook", "", "Any", "AcceptedEvents", 202},
  api_call{"GET", "/v1/events", list_events, rule::view_found, "listEvents", "events",
           "Routed events, newest first", "type source limit cursor", "", "EventList"},
  api_call{"GET", "/v1/events/{id}", get_event, rule::view_found, "getEvent", "events",
           "One event and where it went", "", "", "Event"},
  api_call{"POST", "/v1/events/{id}/replay", refuse_not_available, rule::replay, "replayEvent",
           "events", "Deliver an event again"},

  api_call{"GET", "/v1/agents", list_agents, rule::view_found, "listAgents", "agents",
           "Agents by address", "type status where limit cursor", "", "AgentList"},
  api_call{"POST", "/v1/agents:batch", control_many, rule::control_found, "controlAgents", "agents",
           "One verb for all agents that a jq expression matches", "", "BatchRequest",
           "BatchResult"},
  api_call{"GET", "/v1/agents/{type}/{key}", get_agent, rule::view_path, "getAgent", "agents",
           "One agent", "", "", "Agent"},
  api_call{"DELETE", "/v1/agents/{type}/{key}", delete_agent, rule::control_path, "deleteAgent",
           "agents", "Remove an agent with its state and history", "", "", "", 204},
  api_call{"GET", "/v1/agents/{type}/{key}/why", get_why, rule::view_path, "explainAgent", "agents",
           "Why an agent waits, and what unblocks it", "", "", "Why"},
  api_call{"GET", "/v1/agents/{type}/{key}/state", get_state, rule::view_path, "getState", "agents",
           "What an agent remembers", "", "", "State"},
  api_call{"PATCH", "/v1/agents/{type}/{key}/state", patch_agent_state, rule::control_path,
           "patchState", "agents", "Change what an agent remembers (RFC 7396)", "", "Any", "State"},
  api_call{"GET", "/v1/agents/{type}/{key}/mailbox", get_mailbox, rule::view_path, "getMailbox",
           "agents", "Events that wait", paging, "", "List"},
  api_call{"GET", "/v1/agents/{type}/{key}/timers", get_timers, rule::view_path, "getTimers",
           "agents", "Timers that are set", paging, "", "List"},
  api_call{"GET", "/v1/agents/{type}/{key}/history", get_agent_history, rule::view_path,
           "getHistory", "agents", "What happened", "run from limit cursor", "", "HistoryList"},
  api_call{"GET", "/v1/agents/{type}/{key}/stream", stream_agent, rule::view_path, "streamAgent",
           "agents", "What happens, as server-sent events", "from", "", "stream"},
  api_call{"GET", "/v1/agents/{type}/{key}/socket", refuse_not_available, rule::open_socket,
           "openSocket", "agents", "What happens, and commands, over a WebSocket"},
  api_call{"POST", "/v1/agents/{type}/{key}/pause", pause_agent, rule::control_path, "pauseAgent",
           "agents", "Nothing new starts, running effects finish", "", "Reason", "Agent"},
  api_call{"POST", "/v1/agents/{type}/{key}/resume", resume_agent, rule::control_path,
           "resumeAgent", "agents", "Lift pause and quarantine", "", "Reason", "Agent"},
  api_call{"POST", "/v1/agents/{type}/{key}/cancel", cancel_agent, rule::control_path,
           "cancelAgent", "agents", "End the open run after its open effects", "", "Reason",
           "Agent"},
  api_call{"POST", "/v1/agents/{type}/{key}/kill", kill_agent, rule::control_path, "killAgent",
           "agents", "End the open run now", "", "Reason", "Agent"},
  api_call{"POST", "/v1/agents/{type}/{key}/retry", retry_agent, rule::control_path, "retryAgent",
           "agents", "Fire a waiting backoff, or run again from the failed effect", "",
           "RetryRequest", "Agent"},
  api_call{"POST", "/v1/agents/{type}/{key}/quarantine", quarantine_agent, rule::control_path,
           "quarantineAgent", "agents", "As pause, and left out of batches", "", "Reason", "Agent"},
  api_call{"POST", "/v1/agents/{type}/{key}/fork", fork_agent, rule::control_path, "forkAgent",
           "agents", "A copy of an agent as it was, under another key", "", "ForkRequest", "Agent"},

  api_call{"GET", "/v1/runs", list_runs, rule::view_found, "listRuns", "runs", "Runs, newest first",
           "agent status limit cursor", "", "RunList"},
  api_call{"GET", "/v1/runs/{id}", get_run, rule::view_found, "getRun", "runs", "One run", "", "",
           "Run"},
  api_call{"GET", "/v1/runs/{id}/history", get_run_history, rule::view_found, "getRunHistory",
           "runs", "What happened in one run", "from limit cursor", "", "HistoryList"},
  api_call{"GET", "/v1/runs/{id}/stream", stream_run, rule::view_found, "streamRun", "runs",
           "One run, as server-sent events", "from", "", "stream"},
  api_call{"POST", "/v1/runs/{id}/cancel", cancel_run_call, rule::control_found, "cancelRun",
           "runs", "End a run after its open effects", "", "Reason", "Run"},
  api_call{"POST", "/v1/runs/{id}/retry", retry_run_call, rule::control_found, "retryRun", "runs",
           "Run again from the failed effect", "", "RetryRequest", "Run"},

  api_call{"GET", "/v1/reconcile", list_reconciles, rule::view_found, "listReconciles", "reconcile",
           "Effects whose outcome only a person can tell", paging, "", "List"},
  api_call{"POST", "/v1/reconcile/{id}", post_reconcile, rule::control_found, "resolveReconcile",
           "reconcile", "Tell what came of one", "", "Resolution", "Any"},
  api_call{"GET", "/v1/dlq", list_dead_letters, rule::view_found, "listDeadLetters", "dead letters",
           "Events that could not be delivered or handled", paging, "", "List"},
  api_call{"GET", "/v1/dlq/{id}", get_dead_letter, rule::view_found, "getDeadLetter",
           "dead letters", "One of them, with the reason", "", "", "Any"},
  api_call{"POST", "/v1/dlq/{id}/redrive", redrive_dead_letter, rule::control_found,
           "redriveDeadLetter", "dead letters", "Deliver it again", "", "Reason", "Any"},
  api_call{"POST", "/v1/dlq/{id}/drop", drop_dead_letter, rule::control_found, "dropDeadLetter",
           "dead letters", "Forget it", "", "Reason", "", 204},
  api_call{"DELETE", "/v1/dlq/{id}", drop_dead_letter, rule::control_found, "deleteDeadLetter",
           "dead letters", "Forget it", "", "", "", 204},

  api_call{"PUT", "/v1/definitions", put_definitions, rule::define, "applyDefinitions",
           "definitions", "Make definitions current: all of them or, with an error in one, none",
           "dry_run", "Definitions", "Applied"},
  api_call{"GET", "/v1/types", list_types, rule::view_found, "listTypes", "definitions",
           "Agent types", paging, "", "List"},
  api_call{"GET", "/v1/types/{type}", get_type, rule::view_path, "getType", "definitions",
           "One type and its definition", "", "", "Any"},
  api_call{"GET", "/v1/types/{type}/versions", get_type_versions, rule::view_path,
           "listTypeVersions", "definitions", "Every version of a type, newest first", paging, "",
           "List"},
  api_call{"POST", "/v1/types/{type}/rollout", refuse_not_available, rule::define_path,
           "rolloutType", "definitions", "Give new runs a version, all or some of them"},
  api_call{"POST", "/v1/types/{type}/rollback", refuse_not_available, rule::define_path,
           "rollbackType", "definitions", "Give new runs the version before"},
  api_call{"GET", "/v1/hooks", list_hooks, rule::view_all, "listHooks", "hooks",
           "Webhooks that are taken", "", "", "List"},
  api_call{"GET", "/v1/hooks/{source}", get_hook, rule::view_all, "getHook", "hooks", "One webhook",
           "", "", "Any"},
  api_call{"POST", "/v1/hooks/{source}/test", test_hook, rule::try_hook, "testHook", "hooks",
           "What a delivery would do; nothing is stored", "", "Any", "Any"},

  api_call{"GET", "/v1/approvals", refuse_not_available, rule::view_found, "listApprovals",
           "approvals", "Calls that wait for approval"},
  api_call{"GET", "/v1/approvals/{id}", refuse_not_available, rule::view_found, "getApproval",
           "approvals", "One of them"},
  api_call{"POST", "/v1/approvals/{id}", refuse_not_available, rule::control_found,
           "decideApproval", "approvals", "Approve or deny a call"},
  api_call{"GET", "/v1/schedules", refuse_not_available, rule::view_all, "listSchedules",
           "schedules", "Schedules"},
  api_call{"POST", "/v1/schedules", refuse_not_available, rule::control_all, "createSchedule",
           "schedules", "Make a schedule"},
  api_call{"*", "/v1/schedules/{rest...}", refuse_not_available, rule::control_all, "schedules",
           "schedules", "One schedule"},
  api_call{"GET", "/v1/budgets", refuse_not_available, rule::view_all, "listBudgets", "budgets",
           "Budgets"},
  api_call{"POST", "/v1/budgets", refuse_not_available, rule::control_all, "setBudget", "budgets",
           "Set a budget"},
  api_call{"*", "/v1/budgets/{rest...}", refuse_not_available, rule::control_all, "budgets",
           "budgets", "One budget"},
  api_call{"GET", "/v1/kill-switch", refuse_not_available, rule::view_all, "getKillSwitch",
           "kill switch", "Is it fired"},
  api_call{"POST", "/v1/kill-switch", refuse_not_available, rule::control_all, "fireKillSwitch",
           "kill switch", "Fire or release it"},
  api_call{"*", "/v1/kill-switch/{rest...}", refuse_not_available, rule::control_all, "kill switch",
           "kill switch", "Fire or release it"},
  api_call{"GET", "/v1/audit", list_audit, rule::read_audit, "listAudit", "node",
           "Every call that changed something or was refused by authorisation, newest first",
           paging, "", "List"},
  api_call{"GET", "/v1/nodes", list_nodes, rule::view_all, "listNodes", "node",
           "Nodes of the cluster", "", "", "NodeList"},
  api_call{"GET", "/v1/nodes/{id}", get_node, rule::view_all, "getNode", "node",
           "One node and what it leads", "", "", "Node"},
  api_call{"POST", "/v1/nodes/{id}/cordon", cordon_node, rule::administer, "cordonNode", "node",
           "Lead nothing, until uncordoned or restarted", "", "Reason", "Node"},
  api_call{"POST", "/v1/nodes/{id}/uncordon", uncordon_node, rule::administer, "uncordonNode",
           "node", "Take part again", "", "Reason", "Node"},
  api_call{"POST", "/v1/nodes/{id}/drain", drain_node, rule::administer, "drainNode", "node",
           "Cordon, and answer when it leads nothing any more, or with what is left after `wait` "
           "(30s)",
           "wait", "Reason", "Node"},
  api_call{"POST", "/v1/nodes", add_member_node, rule::administer, "addNode", "node",
           "Let a node join; `holdfast cluster join` asks this on the new machine", "", "NewNode",
           "Joined", 201},
  api_call{"DELETE", "/v1/nodes/{id}", remove_member_node, rule::administer, "removeNode", "node",
           "Remove a node for good; answers when that is decided, the leaders follow", "force", "",
           "Node", 202},
  api_call{"GET", "/v1/cluster", get_cluster, rule::view_all, "getCluster", "node",
           "Nodes and partitions; partition 0 is the cluster's own", "", "", "Cluster"},
  api_call{"POST", "/v1/cluster/rebalance", rebalance_cluster, rule::administer, "rebalanceCluster",
           "node", "Spread leaders evenly, now", "", "Reason", "Rebalanced"},
  api_call{"POST", "/v1/cluster/backup", take_backup, rule::administer, "backUpCluster", "node",
           "A consistent copy of everything, as a file for `holdfast cluster restore`", "",
           "Reason", "backup"},
  api_call{"*", "/v1/cluster/{rest...}", refuse_not_available, rule::administer, "cluster", "node",
           "Debug bundle"},
  api_call{"*", "/v1/auth/{rest...}", refuse_not_available, rule::keys, "API keys", "node",
           "API keys"},
  api_call{"*", "/v1/policies/{rest...}", refuse_not_available, rule::define_all, "policies",
           "node", "Policies"},
  api_call{"*", "/console", refuse_not_available, rule::view_page, "the web console", "node",
           "The web console"},
  api_call{"*", "/console/{rest...}", refuse_not_available, rule::view_page, "the web console",
           "node", "The web console"},

  api_call{"GET", "/v1/doctor", get_doctor, rule::view_all, "examineNode", "node",
           "Proves that nothing is silently stuck", "", "", "Doctor"},
  api_call{"GET", "/healthz", get_health, rule::in_the_open, "getHealth", "node",
           "The process lives", "", "", "Any"},
  api_call{"GET", "/readyz", get_readiness, rule::in_the_open, "getReadiness", "node",
           "The node takes work", "", "", "Any"},
  api_call{"GET", "/metrics", get_metrics, rule::view_page, "getMetrics", "node", "Prometheus text",
           "", "", "text"},
  api_call{"GET", "/openapi.json", get_openapi, rule::view_page, "getOpenApi", "node",
           "This document", "", "", "Any"},
};

}  // namespace

std::span<const api_call> api_calls() noexcept { return calls; }

}  // namespace holdfast
