#include "tools/holdfast/run_printer.hpp"

#include <nlohmann/json.hpp>

#include "schemas/units.hpp"
#include "tools/holdfast/display_text.hpp"
#include "tools/holdfast/document_view.hpp"
#include "tools/holdfast/table.hpp"

namespace holdfast::cli {

namespace {

using json = nlohmann::ordered_json;

/// ` in 1.25s` between two RFC 3339 times; empty when either is unknown.
std::string elapsed(const std::string& from, const std::string& to) {
  const auto start = parse_time(from);
  const auto end = parse_time(to);
  if (!start || !end || *end < *start)
    return {};
  const auto ms = (*end - *start) / 1'000;
  if (ms < 1'000)
    return " in " + std::to_string(ms) + "ms";
  const auto hundredths = ms / 10 % 100;
  return " in " + std::to_string(ms / 1'000) + (hundredths < 10 ? ".0" : ".") +
         std::to_string(hundredths) + "s";
}

std::string error_text(const json& error) {
  if (!error.is_object())
    return scalar_text(error);
  auto text = text_at(error, "code");
  if (auto message = text_at(error, "message"); !message.empty())
    text += (text.empty() ? "" : ": ") + message;
  return text;
}

std::string usage_note(const json& data) {
  const auto usage = data.find("usage");
  if (usage == data.end() || !usage->is_object())
    return {};
  return ", " + usage->value("input_tokens", json(0)).dump() + " tokens in, " +
         usage->value("output_tokens", json(0)).dump() + " out, " +
         (text_at(*usage, "usd").empty() ? "0" : text_at(*usage, "usd")) + " usd";
}

}  // namespace

json stream_line(const net::sse_event& event) {
  json line{{"event", event.type.empty() ? "message" : event.type}, {"cursor", event.id}};
  auto data = json::parse(event.data, nullptr, false);
  if (data.is_object()) {
    for (const auto& [name, value] : data.items())
      if (!line.contains(name))
        line[name] = value;
  } else {
    line["data"] = data.is_discarded() ? json(event.data) : std::move(data);
  }
  return line;
}

bool ends_run(std::string_view event_type) noexcept {
  return event_type == "run.completed" || event_type == "run.failed" ||
         event_type == "run.cancelled";
}

exit_code print_stream(session& with, const api_path& path, const std::string& cursor,
                       stream_of what) {
  follow_options options;
  options.cursor = cursor;
  options.say = [&with](std::string_view line) { with.out().say(line); };
  auto end = exit_code::done;
  with.api().follow(path, options, [&](const net::sse_event& event) {
    with.out().json_line(stream_line(event));
    if (what == stream_of::agent || !ends_run(event.type))
      return follow_step::go_on;
    if (event.type != "run.completed")
      end = exit_code::failed;
    return follow_step::stop;
  });
  return end;
}

void run_printer::note(const std::string& line) {
  end_line();
  const auto text = printable(line);
  with_.out().say(with_.host().err_is_terminal && with_.out().settings().colour
                    ? tinted(text, tint::faint)
                    : text);
}

void run_printer::end_line() {
  if (in_line_)
    with_.out().raw("\n");
  in_line_ = false;
}

void run_printer::print_text(const json& data) {
  const auto step = text_at(data, "step");
  if (step != step_) {
    end_line();
    step_ = step;
    text_.clear();
  }
  auto text = text_at(data, "text");
  const auto offset = data.value("offset", json{});
  if (offset.is_number_unsigned() && offset.get<std::size_t>() < text_.size())
    text.erase(0, text_.size() - offset.get<std::size_t>());  // seen already
  if (text.empty())
    return;
  text_ += text;
  any_text_ = true;
  in_line_ = text.back() != '\n';
  with_.out().raw(with_.host().out_is_terminal ? printable(text, line_breaks::kept) : text);
}

void run_printer::rewind_text(const json& data) {
  if (text_at(data, "step") != step_)
    return;
  const auto to = data.value("to", json(0));
  if (!to.is_number_unsigned() || to.get<std::size_t>() >= text_.size())
    return;
  note("the model call was restarted: its text begins again");
  text_.resize(to.get<std::size_t>());
  with_.out().raw(with_.host().out_is_terminal ? printable(text_, line_breaks::kept) : text_);
  in_line_ = !text_.empty() && text_.back() != '\n';
}

void run_printer::print_tool_result(const json& data) {
  auto call = calls_.extract(text_at(data, "effect"));
  const auto name = call.empty() ? text_at(data, "effect") : call.mapped().name;
  auto line = "tool " + name + " " + text_at(data, "status");
  if (!call.empty())
    line += elapsed(call.mapped().at, text_at(data, "at"));
  if (const auto error = data.find("error"); error != data.end() && !error->is_null())
    line += ": " + error_text(*error);
  note(line);
}

void run_printer::print_end(const std::string& type, const json& data) {
  end_line();
  const bool completed = type == "run.completed";
  if (completed && !any_text_ && data.contains("output") && !data["output"].is_null())
    with_.out().line(scalar_text(data["output"]));
  auto line = "run " + text_at(data, "run_id") + " " + type.substr(4) +
              elapsed(started_at_, text_at(data, "at")) + usage_note(data);
  if (const auto error = data.find("error"); error != data.end() && !error->is_null())
    line += ": " + error_text(*error);
  if (completed)
    note(line);
  else
    with_.out().say_failure(printable(line));
  end_ = completed ? exit_code::done : exit_code::failed;
}

void run_printer::print(const net::sse_event& event) {
  const auto data = stream_line(event);
  const auto& type = event.type;
  if (type == "text.delta") {
    print_text(data);
  } else if (type == "step.rewound") {
    rewind_text(data);
  } else if (type == "run.started") {
    started_at_ = text_at(data, "at");
    note("run " + text_at(data, "run_id") + " started");
  } else if (type == "tool.called") {
    calls_[text_at(data, "effect")] = {text_at(data, "name"), text_at(data, "at")};
    note("tool " + text_at(data, "name") + " " + clipped(text_at(data, "input"), 200));
  } else if (type == "tool.result") {
    print_tool_result(data);
  } else if (type == "approval.requested") {
    note("approval needed: " + text_at(data, "id") + " " + text_at(data, "tool") + " " +
         clipped(text_at(data, "input"), 200));
  } else if (type == "run.waiting") {
    const auto cause = data.value("cause", json{});
    note("waiting: " + (cause.is_object() ? text_at(cause, "kind") + " " + text_at(cause, "detail")
                                          : scalar_text(cause)));
  } else if (ends_run(type)) {
    print_end(type, data);
  }
}

}  // namespace holdfast::cli
