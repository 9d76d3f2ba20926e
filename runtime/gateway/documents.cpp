#include "runtime/gateway/documents.hpp"

#include <algorithm>

#include "runtime/gateway/base64.hpp"
#include "runtime/gateway/json_text.hpp"
#include "runtime/gateway/request_body.hpp"
#include "schemas/units.hpp"

namespace holdfast {

namespace {

void write_run_id(json_writer& json, std::string_view name, const run_id& run) {
  json.key(name);
  if (run.empty())
    json.null();
  else
    json.value(to_string(run));
}

bool has_ended(run_status status) noexcept {
  return status == run_status::completed || status == run_status::failed ||
         status == run_status::cancelled;
}

}  // namespace

std::string_view to_string(resolution value) noexcept {
  switch (value) {
    case resolution::succeeded:
      return "succeeded";
    case resolution::retry:
      return "retry";
    case resolution::failed:
      return "failed";
  }
  return "failed";
}

void write_time(json_writer& json, std::string_view name, time_us at) {
  json.key(name);
  if (at == 0)
    json.null();
  else
    json.value(format_time(at));
}

void write_usage(json_writer& json, const usage& used) {
  json.begin_object();
  json.field("input_tokens", used.input_tokens);
  if (used.cached_input_tokens != 0)
    json.field("cached_input_tokens", used.cached_input_tokens);
  json.field("output_tokens", used.output_tokens);
  json.field("usd", format_usd(used.cost));
  json.field("model_calls", used.model_calls);
  json.field("tool_calls", used.tool_calls);
  json.end_object();
}

void write_failure(json_writer& json, const failure& error, const run_id& run) {
  json.begin_object();
  json.field("code", error.code);
  json.field("message", error.message);
  if (error.effect_no != 0 && !run.empty())
    json.field("effect", to_string(effect_id{run, error.effect_no}));
  json.field("retryable", error.retryable);
  json.end_object();
}

void write_cause(json_writer& json, const wake_cause& cause) {
  json.begin_object();
  json.field("kind", to_string(cause.kind));
  write_time(json, "since", cause.since);
  if (cause.until != 0)
    write_time(json, "until", cause.until);
  json.field("detail", cause.detail);
  json.key("unblock").begin_object();
  json.field("command", cause.command);
  json.key("http")
    .begin_object()
    .field("method", cause.method)
    .field("path", cause.path)
    .end_object();
  json.end_object();
  json.end_object();
}

void write_event(json_writer& json, const event& e, std::string_view id, std::string_view source) {
  json.begin_object();
  json.field("specversion", "1.0");
  json.field("id", e.id.empty() ? id : std::string_view{e.id});
  json.field("source", e.source.empty() ? source : std::string_view{e.source});
  json.field("type", e.type);
  json.optional_field("subject", e.subject);
  json.optional_field("time", e.time);
  json.optional_field("datacontenttype", e.content_type);
  json.optional_field("traceparent", e.traceparent);
  if (!e.data.empty()) {
    if (is_json_type(e.content_type))
      json.key("data").json_or_text(e.data);
    else if (is_utf8(e.data))
      json.field("data", e.data);
    else
      json.field("data_base64", to_base64(e.data));
  }
  json.end_object();
}

void write_agent(json_writer& json, const agent_facts& agent) {
  const agent_state& s = agent.state;
  json.begin_object();
  json.field("kind", "agent");
  json.field("agent", to_string(s.name));
  json.field("type", s.name.type);
  json.field("key", s.name.key);
  json.field("version", s.version != 0 ? s.version : agent.version_now);
  json.field("status", to_string(status_of(s)));
  write_run_id(json, "run_id", s.run ? s.run->id : run_id{});
  const std::uint64_t waiting = s.mailbox_next - s.mailbox_head;
  json.field("mailbox", waiting - std::min<std::uint64_t>(waiting, s.skipped.size()));
  json.field("seq", s.seq);
  json.key("usage");
  write_usage(json, s.used);
  write_time(json, "created_at", s.created_at);
  write_time(json, "updated_at", s.updated_at);
  json.key("cause");
  if (const auto causes = wake_causes(s); causes.empty())
    json.null();
  else
    write_cause(json, causes.front());
  json.end_object();
}

std::string agent_document(const agent_facts& agent) {
  std::string body;
  json_writer json{body};
  write_agent(json, agent);
  return body;
}

std::string why_document(const agent_state& state) {
  std::string body;
  json_writer json{body};
  json.begin_object();
  json.field("kind", "why");
  json.field("agent", to_string(state.name));
  json.field("status", to_string(status_of(state)));
  json.key("causes").begin_array();
  for (const auto& cause : wake_causes(state))
    write_cause(json, cause);
  json.end_array();
  json.end_object();
  return body;
}

std::string state_document(const agent_state& state, std::string_view memory) {
  std::string body;
  json_writer json{body};
  json.begin_object();
  json.field("kind", "state");
  json.field("agent", to_string(state.name));
  json.field("seq", state.seq);
  json.key("state").json_or_text(memory);
  json.end_object();
  return body;
}

void write_run(json_writer& json, const ended_run& run) {
  const run_summary& s = run.summary;
  json.begin_object();
  json.field("kind", "run");
  json.field("run_id", to_string(s.id));
  json.field("agent", to_string(s.agent));
  json.key("version");
  if (s.version == 0)
    json.null();
  else
    json.value(s.version);
  json.field("status", to_string(s.status));
  json.key("event_ids")
    .begin_array()
    .value(to_string(s.event.empty() ? event_id{s.id.id} : s.event))
    .end_array();
  if (!s.retry_of.empty())
    json.field("retry_of", to_string(s.retry_of));
  json.key("output");
  if (s.status == run_status::completed)
    json.json_or_text(run.output);
  else
    json.null();
  json.key("error");
  if (has_ended(s.status) && s.status != run_status::completed)
    write_failure(json, run.error, s.id);
  else
    json.null();
  json.field("steps", s.steps);
  json.key("usage");
  write_usage(json, s.used);
  write_time(json, "received_at", s.received_at);
  write_time(json, "started_at", s.started_at);
  write_time(json, "ended_at", has_ended(s.status) ? s.ended_at : 0);
  json.end_object();
}

std::string run_document(const ended_run& run) {
  std::string body;
  json_writer json{body};
  write_run(json, run);
  return body;
}

std::string accepted_document(const accepted_event& accepted) {
  std::string body;
  body.reserve(192);
  json_writer json{body};
  json.begin_object();
  json.field("kind", "accepted");
  json.field("event_id", to_string(accepted.event));
  write_run_id(json, "run_id", accepted.run);
  json.field("agent", to_string(accepted.agent));
  if (accepted.merged)
    json.field("merged", true);
  json.end_object();
  return body;
}

void write_waiting(json_writer& json, const agent_name& agent, const waiting_event& waiting) {
  json.begin_object();
  json.field("kind", "waiting_event");
  json.field("seq", waiting.seq);
  json.field("event_id", to_string(waiting.id));
  json.field("run_id", to_string(waiting.run));
  json.key("event");
  write_event(json, waiting.event, to_string(waiting.id), to_string(agent));
  write_time(json, "received_at", waiting.received_at);
  json.field("attempts", 0);
  json.end_object();
}

void write_timer(json_writer& json, const timer_state& timer) {
  json.begin_object();
  json.field("id", timer.id);
  json.field("kind", to_string(timer.kind));
  write_time(json, "due_at", timer.due);
  json.field("tag", timer.tag);
  write_run_id(json, "run_id", timer.run);
  if (timer.effect_no != 0 && !timer.run.empty())
    json.field("effect", to_string(effect_id{timer.run, timer.effect_no}));
  json.end_object();
}

void write_routed(json_writer& json, const event_routed& routed, time_us received_at) {
  json.begin_object();
  json.field("kind", "event");
  json.field("event_id", to_string(routed.id));
  json.key("event");
  write_event(json, routed.event, to_string(routed.id), "holdfast");
  json.field("verified", routed.verified.empty() ? std::string_view{"none"}
                                                 : std::string_view{routed.verified});
  json.optional_field("by", routed.by);
  write_time(json, "received_at", received_at);
  json.key("routes").begin_array();
  for (const auto& route : routed.routes) {
    json.begin_object();
    json.field("type", route.type);
    if (!route.key.empty())
      json.field("agent", route.type + "/" + route.key);
    json.field("matched", route.matched);
    json.optional_field("reason", route.reason);
    if (!route.run.empty())
      json.field("run_id", to_string(route.run));
    json.end_object();
  }
  json.end_array();
  json.end_object();
}

void write_dead_letter(json_writer& json, const dead_lettered& letter, time_us at) {
  json.begin_object();
  json.field("kind", "dead_letter");
  json.field("id", to_string(letter.id));
  json.field("event_id", to_string(letter.id));
  json.key("agent");
  if (letter.agent.key.empty())
    json.null();
  else
    json.value(to_string(letter.agent));
  json.optional_field("type", letter.agent.type);
  write_run_id(json, "run_id", letter.run);
  json.field("reason", letter.reason);
  json.key("event");
  write_event(json, letter.event, to_string(letter.id), to_string(letter.agent));
  json.field("verified", letter.verified.empty() ? std::string_view{"none"}
                                                 : std::string_view{letter.verified});
  write_time(json, "dead_at", at);
  json.end_object();
}

void write_reconcile(json_writer& json, const unresolved_effect& effect) {
  json.begin_object();
  json.field("kind", "reconcile");
  json.field("id", to_string(effect.id));
  json.field("agent", to_string(effect.agent));
  json.field("run_id", to_string(effect.id.run));
  json.field("effect", to_string(effect.id));
  json.field("effect_no", effect.id.no);
  json.field("tool", effect.tool);
  json.key("input").json_or_text(effect.input);
  json.optional_field("detail", effect.error);
  write_time(json, "sent_at", effect.sent_at);
  json.end_object();
}

}  // namespace holdfast
