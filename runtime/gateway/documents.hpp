#pragma once
// C++ values → the JSON documents of INTERFACE §3: one place for each `kind`. Pure. Functions that
// are named for a part append one value to a writer; those that end in `_document` give a whole
// document.

#include <string>
#include <string_view>
#include <vector>

#include "persistence/store.hpp"
#include "runtime/core/turn_builder.hpp"
#include "runtime/core/wake_cause.hpp"
#include "runtime/gateway/backend.hpp"
#include "runtime/gateway/json_writer.hpp"

namespace holdfast {

/// As in `POST /v1/reconcile/{id}`.
std::string_view to_string(resolution value) noexcept;

void write_time(json_writer& json, std::string_view name, time_us at);  ///< `null` for 0
void write_usage(json_writer& json, const usage& used);
/// `effect` is named by its id when the failure says which, and the run is known.
void write_failure(json_writer& json, const failure& error, const run_id& run);
void write_cause(json_writer& json, const wake_cause& cause);

/// A CloudEvents document. `id` and `source` stand in for what a sender left out.
void write_event(json_writer& json, const event& e, std::string_view id, std::string_view source);

struct agent_facts {
  const agent_state& state;
  std::uint32_t version_now = 0;  ///< of the type, for an agent that never ran
};
void write_agent(json_writer& json, const agent_facts& agent);
std::string agent_document(const agent_facts& agent);

std::string why_document(const agent_state& state);
/// `memory` is JSON text.
std::string state_document(const agent_state& state, std::string_view memory);

/// A run with its end, when it has ended.
void write_run(json_writer& json, const ended_run& run);
std::string run_document(const ended_run& run);

/// `kind: accepted`
std::string accepted_document(const accepted_event& accepted);

struct waiting_event {
  std::uint64_t seq = 0;
  event_id id;
  run_id run;
  time_us received_at = 0;
  holdfast::event event;
};
void write_waiting(json_writer& json, const agent_name& agent, const waiting_event& waiting);
void write_timer(json_writer& json, const timer_state& timer);

void write_routed(json_writer& json, const event_routed& routed, time_us received_at);
void write_dead_letter(json_writer& json, const dead_lettered& letter, time_us at);

struct unresolved_effect {
  effect_id id;
  agent_name agent;
  std::string tool;
  std::string input;
  std::string error;
  time_us sent_at = 0;
};
void write_reconcile(json_writer& json, const unresolved_effect& effect);

void write_type(json_writer& json, const definition_history& history, std::string_view name,
                bool whole);
void write_type_version(json_writer& json, const definition_applied& version, time_us applied_at,
                        bool current);
void write_hook(json_writer& json, const definition_history& history, std::string_view source);
std::string definitions_document(const definitions_done& done, bool dry_run);

/// A node as a part of its cluster's document.
void write_node(json_writer& json, const cluster_node_view& node);
/// `kind: node`, with the partitions that it leads; the caller ends the object.
void begin_node(json_writer& json, const cluster_node_view& node, const cluster_view& of);
std::string cluster_document(const cluster_view& view);

/// `{"items":[…],"next":…}` around items that are written one by one, each after one `item`.
class list_writer {
public:
  list_writer() : json_(body_) {
    json_.begin_object().field("kind", "list").key("items").begin_array();
  }
  json_writer& item() {
    ++items_;
    return json_;
  }
  /// It has that many items, or so many bytes: what follows is for the next page. Never while it is
  /// empty.
  bool is_full(std::size_t items_max, std::size_t bytes_max) const noexcept {
    return items_ >= items_max || (items_ > 0 && body_.size() >= bytes_max);
  }
  std::string finish(std::string_view next) {
    json_.end_array().key("next");
    if (next.empty())
      json_.null();
    else
      json_.value(next);
    json_.end_object();
    return std::move(body_);
  }

private:
  std::string body_;
  json_writer json_;
  std::size_t items_ = 0;
};

}  // namespace holdfast
