#include "runtime/gateway/stream_renderer.hpp"

#include <charconv>

#include "runtime/core/evolve.hpp"
#include "runtime/core/wake_cause.hpp"
#include "runtime/gateway/documents.hpp"
#include "runtime/net/sse_writer.hpp"

namespace holdfast {

namespace {

/// Builds the members of an event's data that are its own: `"step":1,"kind":"model"`.
class members {
public:
  members() : json_(text_) { json_.begin_object(); }
  json_writer& json() { return json_; }
  std::string take() && {
    json_.end_object();
    return text_.size() > 2 ? "," + text_.substr(1) : text_.substr(1);
  }

private:
  std::string text_;
  json_writer json_;
};

}  // namespace

std::string to_string(const stream_cursor& at) {
  std::string text = std::to_string(at.seq);
  if (at.part != stream_cursor::whole)
    text += "." + std::to_string(at.part);
  return text;
}

result<stream_cursor> parse_cursor(std::string_view text) {
  const error bad{errc::malformed, "the cursor is not one that a stream gave; it looks like 41"};
  stream_cursor out;
  const char* const end = text.data() + text.size();
  const auto [dot, failed] = std::from_chars(text.data(), end, out.seq);
  if (text.empty() || failed != std::errc{})
    return bad;
  if (dot == end)
    return out;
  const auto [last, wrong] = std::from_chars(dot + 1, end, out.part);
  if (*dot != '.' || dot + 1 == end || wrong != std::errc{} || last != end ||
      out.part == stream_cursor::whole)
    return bad;
  return out;
}

void stream_renderer::take(seq_no seq, time_us at, const fact& f, bool ends_record,
                           std::vector<rendered_event>& out) {
  if (std::holds_alternative<run_started>(f)) {
    // What was before must not show: a stream that begins here does not know it.
    state_ = {};
    state_.name = agent_;
    shown_.clear();
    waiting_for_.clear();
  }
  tracker_.take(f);
  const bool ended = std::holds_alternative<run_completed>(f) ||
                     std::holds_alternative<run_failed>(f) ||
                     std::holds_alternative<run_cancelled>(f);
  if (ended)
    show(f);  // while the run's usage is still at hand
  state_.seq = seq - 1;
  evolve(state_, f, at);
  if (!ended)
    show(f);
  if (ends_record) {
    show_waiting();
    tracker_.end_record();
  }
  flush(seq, at, out);
}

void stream_renderer::add(std::string_view type, const run_id& run, std::string data,
                          bool ends_run) {
  if (!run.empty())
    parts_.push_back({type, std::move(data), run, ends_run});
}

void stream_renderer::flush(seq_no seq, time_us at, std::vector<rendered_event>& out) {
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const auto& one = parts_[i];
    rendered_event event;
    event.at = {seq,
                i + 1 == parts_.size() ? stream_cursor::whole : static_cast<std::uint32_t>(i + 1)};
    event.run = one.run;
    event.ends_run = one.ends_run;
    std::string data;
    json_writer json{data};
    json.begin_object().field("run_id", to_string(one.run)).field("seq", seq);
    write_time(json, "at", at);
    data += one.data;
    net::append_sse_event(event.text, to_string(event.at), one.type, data);
    out.push_back(std::move(event));
  }
  parts_.clear();
}

void stream_renderer::show(const fact& f) {
  const auto& run = tracker_.open_run();
  if (const auto* started = std::get_if<run_started>(&f)) {
    add("run.started", started->run, members{}.take());
  } else if (const auto* model = std::get_if<model_requested>(&f)) {
    members m;
    m.json().field("step", model->step).field("kind", "model").field("name", model->model);
    add("step.started", run, std::move(m).take());
  } else if (const auto* tool = std::get_if<tool_requested>(&f)) {
    members step;
    step.json()
      .field("step", tool->step)
      .field("kind", tool->kind == effect_kind::agent ? "agent" : "tool");
    step.json().field("name", tool->tool);
    add("step.started", run, std::move(step).take());
    members called;
    called.json()
      .field("effect", to_string(effect_id{run, tool->effect_no}))
      .field("name", tool->tool);
    called.json().key("input").json_or_text(tool->input);
    add("tool.called", run, std::move(called).take());
  } else if (const auto* text = std::get_if<text_streamed>(&f)) {
    const auto* effect = tracker_.effect(text->effect_no);
    if (effect == nullptr)
      return;
    members m;
    m.json().field("step", effect->step).field("offset", text->offset).field("text", text->text);
    shown_[text->effect_no] = text->offset + text->text.size();
    add("text.delta", effect->run, std::move(m).take());
  } else if (const auto* emitted = std::get_if<text_emitted>(&f)) {
    members m;
    m.json().field("step", 0).field("offset", emitted->offset).field("text", emitted->text);
    add("text.delta", emitted->run, std::move(m).take());
  } else if (const auto* again = std::get_if<effect_started>(&f)) {
    const auto* effect = tracker_.effect(again->effect_no);
    const auto shown = shown_.find(again->effect_no);
    if (effect == nullptr || again->attempt < 2 || shown == shown_.end() || shown->second == 0)
      return;
    shown->second = 0;
    members m;
    m.json().field("step", effect->step).field("to", 0);
    add("step.rewound", effect->run, std::move(m).take());
  } else if (const auto* completed = std::get_if<tool_completed>(&f)) {
    show_tool_result(completed->effect_no, "succeeded", completed->output, nullptr);
  } else if (const auto* failed = std::get_if<effect_failed>(&f)) {
    if (failed->final)
      show_tool_result(failed->effect_no, "failed", {}, &failed->error);
  } else if (const auto* unknown = std::get_if<effect_unknown>(&f)) {
    show_tool_result(unknown->effect_no, "unknown", {}, &unknown->error);
  } else if (const auto* reconciled = std::get_if<effect_reconciled>(&f)) {
    const failure why{"reconciled_as_failed", reconciled->note, reconciled->effect_no, false};
    if (reconciled->resolved == resolution::succeeded)
      show_tool_result(reconciled->effect_no, "succeeded", reconciled->output, nullptr);
    else if (reconciled->resolved == resolution::failed)
      show_tool_result(reconciled->effect_no, "failed", {}, &why);
  } else if (const auto* done = std::get_if<run_completed>(&f)) {
    members m;
    m.json().key("output").json_or_text(done->output);
    show_ended(done->run, "run.completed", std::move(m).take());
  } else if (const auto* broken = std::get_if<run_failed>(&f)) {
    members m;
    m.json().key("error");
    write_failure(m.json(), broken->error, broken->run);
    show_ended(broken->run, "run.failed", std::move(m).take());
  } else if (const auto* cancelled = std::get_if<run_cancelled>(&f)) {
    members m;
    m.json().field("reason", cancelled->reason);
    show_ended(cancelled->run, "run.cancelled", std::move(m).take());
  }
}

void stream_renderer::show_tool_result(std::uint32_t effect_no, std::string_view status_name,
                                       std::string_view output, const failure* why) {
  const auto* effect = tracker_.effect(effect_no);
  if (effect == nullptr || effect->kind == effect_kind::model)
    return;
  members m;
  m.json()
    .field("effect", to_string(effect_id{effect->run, effect_no}))
    .field("status", status_name);
  if (why == nullptr) {
    m.json().key("output").json_or_text(output);
  } else {
    m.json().key("error");
    write_failure(m.json(), *why, effect->run);
  }
  add("tool.result", effect->run, std::move(m).take());
}

void stream_renderer::show_ended(const run_id& run, std::string_view type, std::string data) {
  data.pop_back();  // the brace
  data += ",\"usage\":";
  json_writer json{data};
  write_usage(json, state_.run && state_.run->id == run ? state_.run->used : usage{});
  data += '}';
  add(type, run, std::move(data), true);
}

void stream_renderer::show_waiting() {
  if (!state_.run)
    return;
  const auto now = status_of(state_);
  const auto causes = wake_causes(state_);
  if (now == agent_status::running || causes.empty()) {
    waiting_for_.clear();
    return;
  }
  members m;
  m.json().key("cause");
  write_cause(m.json(), causes.front());
  auto data = std::move(m).take();
  if (data == waiting_for_)
    return;
  waiting_for_ = data;
  add("run.waiting", state_.run->id, std::move(data));
}

}  // namespace holdfast
