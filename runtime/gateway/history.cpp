#include "runtime/gateway/history.hpp"

#include "runtime/gateway/documents.hpp"
#include "schemas/units.hpp"

namespace holdfast {

namespace {

constexpr std::size_t memory_shown_max = 16 * 1024;

std::string_view to_string(outbox_kind value) noexcept {
  switch (value) {
    case outbox_kind::event:
      return "event";
    case outbox_kind::outcome:
      return "outcome";
    case outbox_kind::cancel:
      return "cancel";
    case outbox_kind::fork:
      return "fork";
  }
  return "event";
}

/// Writes the members of one fact's `data`.
class data_writer {
public:
  data_writer(json_writer& json, const agent_name& agent, const run_tracker& tracker)
    : json_(json), agent_(agent), tracker_(tracker) {}

  void write(const event_received& f) {
    json_.field("event_id", holdfast::to_string(f.id)).field("run_id", holdfast::to_string(f.run));
    json_.key("event");
    write_event(json_, f.event, holdfast::to_string(f.id), holdfast::to_string(agent_));
    json_.field("verified",
                f.verified.empty() ? std::string_view{"none"} : std::string_view{f.verified});
    json_.optional_field("by", f.by);
  }
  void write(const awaited_event_received& f) {
    json_.field("event_id", holdfast::to_string(f.id));
    json_.key("event");
    write_event(json_, f.event, holdfast::to_string(f.id), holdfast::to_string(agent_));
    json_.optional_field("by", f.by);
  }
  void write(const run_started& f) {
    json_.field("version", f.version).field("event_id", holdfast::to_string(f.event));
    if (!f.retry_of.empty())
      json_.field("retry_of", holdfast::to_string(f.retry_of)).field("carried", f.carried);
  }
  void write(const model_requested& f) {
    effect(f.effect_no, f.term != 0 ? 1 : 0);
    json_.field("step", f.step).field("model", f.model);
    json_.field("messages", f.message_last - f.message_first);
  }
  void write(const model_completed& f) {
    effect(f.effect_no, f.attempt);
    json_.field("model", f.reply.model)
      .field("finish_reason", f.reply.finish_reason)
      .field("text", f.reply.text);
    json_.key("tool_calls").begin_array();
    for (const auto& call : f.reply.tool_calls) {
      json_.begin_object().field("id", call.id).field("name", call.name);
      json_.key("arguments").json_or_text(call.arguments).end_object();
    }
    json_.end_array().key("usage");
    write_usage(json_, f.used);
  }
  void write(const tool_requested& f) {
    effect(f.effect_no, f.term != 0 ? 1 : 0);
    json_.field("step", f.step).field("tool", f.tool).field("target", holdfast::to_string(f.kind));
    json_.key("input").json_or_text(f.input);
  }
  void write(const tool_completed& f) {
    effect(f.effect_no, f.attempt);
    json_.field("tool", f.tool).key("output").json_or_text(f.output);
  }
  void write(const effect_started& f) { effect(f.effect_no, f.attempt); }
  void write(const effect_failed& f) {
    effect(f.effect_no, f.attempt);
    json_.field("name", f.tool).field("final", f.final);
    error(f.error);
  }
  void write(const effect_retry_scheduled& f) {
    effect(f.effect_no, f.attempt);
    write_time(json_, "due_at", f.due);
  }
  void write(const effect_unknown& f) {
    effect(f.effect_no, f.attempt);
    error(f.error);
  }
  void write(const effect_reconciled& f) {
    effect(f.effect_no, attempt_of(f.effect_no));
    json_.field("tool", f.tool)
      .field("resolved", to_string(f.resolved))
      .field("by", f.by)
      .field("note", f.note);
    if (f.resolved == resolution::succeeded)
      json_.key("result").json_or_text(f.output);
  }
  void write(const timer_set& f) {
    json_.field("id", f.timer_id).field("kind", holdfast::to_string(f.kind));
    write_time(json_, "due_at", f.due);
    json_.field("tag", f.tag);
    if (f.effect_no != 0)
      json_.field("effect_no", f.effect_no);
  }
  void write(const timer_fired& f) {
    json_.field("id", f.timer_id).field("kind", holdfast::to_string(f.kind)).field("tag", f.tag);
  }
  void write(const message_sent& f) {
    const auto& m = f.message;
    json_.field("message", to_string(m.kind)).field("to", holdfast::to_string(m.target));
    if (m.kind == outbox_kind::event) {
      json_.field("event_id", holdfast::to_string(m.event_ref)).key("event");
      write_event(json_, m.event, holdfast::to_string(m.event_ref), holdfast::to_string(agent_));
    }
    if (m.kind == outbox_kind::outcome)
      json_.field("status", holdfast::to_string(m.outcome.status));
  }
  void write(const state_changed& f) {
    json_.field("bytes", f.memory.size());
    if (f.memory.size() <= memory_shown_max)
      json_.key("state").json_or_text(f.memory);
  }
  void write(const budget_reserved& f) { budget(f.effect_no, f.tokens, f.cost); }
  void write(const budget_settled& f) { budget(f.effect_no, f.tokens, f.cost); }
  void write(const run_completed& f) { json_.key("output").json_or_text(f.output); }
  void write(const run_failed& f) {
    json_.key("error");
    write_failure(json_, f.error, f.run);
  }
  void write(const run_cancelled& f) { json_.field("reason", f.reason); }
  void write(const paused& f) { by(f.by, f.reason); }
  void write(const resumed& f) { by(f.by, f.reason); }
  void write(const quarantined& f) { by(f.by, f.reason); }
  void write(const restored& f) {
    json_.field("reason", f.reason);
    write_time(json_, "taken_at", f.taken_at);
  }
  void write(const killed& f) { by(f.by, f.reason); }
  void write(const dead_lettered& f) {
    json_.field("event_id", holdfast::to_string(f.id)).field("reason", f.reason);
  }
  void write(const forked& f) {
    json_.field("from", holdfast::to_string(f.from)).field("at", f.at);
  }

  template <class Hidden>
  void write(const Hidden&) {}

private:
  void by(const std::string& who, const std::string& reason) {
    json_.field("by", who).field("reason", reason);
  }
  void error(const failure& e) {
    json_.key("error").begin_object().field("code", e.code).field("message", e.message);
    json_.field("retryable", e.retryable).end_object();
  }
  std::uint32_t attempt_of(std::uint32_t no) const {
    const auto* known = tracker_.effect(no);
    return known != nullptr ? known->attempt : 0;
  }
  void effect(std::uint32_t no, std::uint32_t attempt) {
    json_.field("effect_no", no);
    if (const auto* known = tracker_.effect(no)) {
      const effect_id id{known->run, no};
      json_.field("effect", holdfast::to_string(id));
      json_.field("key", idempotency_key(agent_, id));
      json_.field("class", holdfast::to_string(known->cls));
      json_.field("attempt", attempt);
      json_.field("request_digest", to_hex(known->request_digest));
    } else {
      json_.field("attempt", attempt);
    }
  }
  void budget(std::uint32_t no, std::uint64_t tokens, nano_usd cost) {
    json_.field("effect_no", no).field("tokens", tokens).field("usd", format_usd(cost));
  }

  json_writer& json_;
  const agent_name& agent_;
  const run_tracker& tracker_;
};

}  // namespace

std::string_view history_kind(const fact& f) noexcept {
  if (std::holds_alternative<awaited_event_received>(f))
    return "event_merged";
  const bool hidden =
    is_partition_fact(f) || std::holds_alternative<message_appended>(f) ||
    std::holds_alternative<text_streamed>(f) || std::holds_alternative<text_emitted>(f) ||
    std::holds_alternative<timer_cancelled>(f) || std::holds_alternative<handler_failed>(f) ||
    std::holds_alternative<handler_recovered>(f) || std::holds_alternative<awaiting_event>(f) ||
    std::holds_alternative<cancel_requested>(f) || std::holds_alternative<effect_abandoned>(f) ||
    std::holds_alternative<agent_deleted>(f) || std::holds_alternative<tool_refused>(f) ||
    std::holds_alternative<event_skipped>(f) || std::holds_alternative<output_refused>(f);
  return hidden ? std::string_view{} : name_of(f);
}

void write_history_item(json_writer& json, const agent_name& agent, seq_no seq, time_us at,
                        const fact& f, const run_tracker& tracker) {
  json.begin_object();
  json.field("seq", seq);
  write_time(json, "at", at);
  json.key("run_id");
  if (const auto run = tracker.run_of(f); run.empty())
    json.null();
  else
    json.value(to_string(run));
  json.field("kind", history_kind(f));
  json.key("data").begin_object();
  data_writer writer{json, agent, tracker};
  std::visit([&](const auto& one) { writer.write(one); }, f);
  json.end_object().end_object();
}

}  // namespace holdfast
