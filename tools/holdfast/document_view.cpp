#include "tools/holdfast/document_view.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <span>

#include "tools/holdfast/display_text.hpp"
#include "tools/holdfast/time_text.hpp"

namespace holdfast::cli {

namespace {

using json = nlohmann::ordered_json;

constexpr std::size_t cell_width_max = 60;  // of a table that is not wide

enum class cell_kind : unsigned char {
  text,
  words,  ///< a list of text
  status,
  time,
  number,
  usage,
  cause,
  targets
};

/// A column: the fields that may hold its value (the first that is there counts) and how to show
/// it.
struct column {
  const char* title;
  cell_kind kind;
  std::array<const char*, 3> pointers;
  bool wide_only = false;
};

constexpr std::array agent_columns{
  column{"AGENT", cell_kind::text, {"/agent"}},
  column{"STATUS", cell_kind::status, {"/status"}},
  column{"VERSION", cell_kind::number, {"/version"}, true},
  column{"RUN", cell_kind::text, {"/run_id"}},
  column{"MAILBOX", cell_kind::number, {"/mailbox"}},
  column{"SEQ", cell_kind::number, {"/seq"}, true},
  column{"USD", cell_kind::number, {"/usage/usd"}},
  column{"TOKENS", cell_kind::usage, {"/usage"}, true},
  column{"CREATED", cell_kind::time, {"/created_at"}, true},
  column{"UPDATED", cell_kind::time, {"/updated_at"}},
  column{"CAUSE", cell_kind::cause, {"/cause"}},
};
constexpr std::array run_columns{
  column{"RUN", cell_kind::text, {"/run_id"}},
  column{"AGENT", cell_kind::text, {"/agent"}},
  column{"STATUS", cell_kind::status, {"/status"}},
  column{"VERSION", cell_kind::number, {"/version"}, true},
  column{"STEPS", cell_kind::number, {"/steps"}},
  column{"USD", cell_kind::number, {"/usage/usd"}},
  column{"TOKENS", cell_kind::usage, {"/usage"}, true},
  column{"STARTED", cell_kind::time, {"/started_at"}},
  column{"ENDED", cell_kind::time, {"/ended_at"}},
  column{"RETRY OF", cell_kind::text, {"/retry_of"}, true},
  column{"ERROR", cell_kind::text, {"/error/message", "/error/code"}},
};
constexpr std::array event_columns{
  column{"EVENT", cell_kind::text, {"/event_id"}},
  column{"TYPE", cell_kind::text, {"/event/type"}},
  column{"SOURCE", cell_kind::text, {"/event/source"}},
  column{"ID", cell_kind::text, {"/event/id"}, true},
  column{"VERIFIED", cell_kind::text, {"/verified"}},
  column{"RECEIVED", cell_kind::time, {"/received_at"}},
  column{"ROUTES", cell_kind::targets, {"/routes"}},
};
constexpr std::array type_columns{
  column{"TYPE", cell_kind::text, {"/type", "/name"}},
  column{"VERSION", cell_kind::number, {"/version", "/current"}},
  column{"BEHAVIOUR", cell_kind::text, {"/behaviour", "/definition/behaviour"}},
  column{"AGENTS", cell_kind::number, {"/agents"}, true},
  column{"UPDATED", cell_kind::time, {"/updated_at", "/applied_at", "/created_at"}},
  column{"DESCRIPTION", cell_kind::text, {"/description", "/definition/description"}},
};
constexpr std::array version_columns{
  column{"VERSION", cell_kind::number, {"/version"}},
  column{"CURRENT", cell_kind::text, {"/current"}},
  column{"APPLIED", cell_kind::time, {"/applied_at", "/created_at"}},
  column{"BY", cell_kind::text, {"/applied_by", "/by"}},
  column{"DIGEST", cell_kind::text, {"/digest"}, true},
};
constexpr std::array reconcile_columns{
  column{"ID", cell_kind::text, {"/id"}},
  column{"AGENT", cell_kind::text, {"/agent"}},
  column{"TOOL", cell_kind::text, {"/tool"}},
  column{"SENT", cell_kind::time, {"/sent_at"}},
  column{"RUN", cell_kind::text, {"/run_id"}, true},
  column{"EFFECT", cell_kind::text, {"/effect"}, true},
  column{"INPUT", cell_kind::text, {"/input"}},
};
constexpr std::array dead_letter_columns{
  column{"ID", cell_kind::text, {"/id", "/event_id"}},
  column{"AGENT", cell_kind::text, {"/agent", "/type"}},
  column{"EVENT", cell_kind::text, {"/event/type"}},
  column{"ATTEMPTS", cell_kind::number, {"/attempts"}},
  column{"AT", cell_kind::time, {"/at", "/dead_at", "/received_at"}},
  column{"REASON", cell_kind::text, {"/reason", "/error/message"}},
};
constexpr std::array mailbox_columns{
  column{"SEQ", cell_kind::number, {"/seq"}},
  column{"TYPE", cell_kind::text, {"/event/type"}},
  column{"SOURCE", cell_kind::text, {"/event/source"}},
  column{"RECEIVED", cell_kind::time, {"/received_at"}},
  column{"ATTEMPTS", cell_kind::number, {"/attempts"}},
  column{"DATA", cell_kind::text, {"/event/data"}},
};
constexpr std::array timer_columns{
  column{"ID", cell_kind::text, {"/id"}},      column{"KIND", cell_kind::text, {"/kind"}},
  column{"DUE", cell_kind::time, {"/due_at"}}, column{"TAG", cell_kind::text, {"/tag"}},
  column{"RUN", cell_kind::text, {"/run_id"}},
};
constexpr std::array history_columns{
  column{"SEQ", cell_kind::number, {"/seq"}}, column{"AT", cell_kind::time, {"/at"}},
  column{"KIND", cell_kind::text, {"/kind"}}, column{"RUN", cell_kind::text, {"/run_id"}, true},
  column{"DATA", cell_kind::text, {"/data"}},
};
constexpr std::array audit_columns{
  column{"AT", cell_kind::time, {"/at"}},
  column{"BY", cell_kind::text, {"/by"}},
  column{"METHOD", cell_kind::text, {"/method"}},
  column{"ROUTE", cell_kind::text, {"/route"}},
  column{"SUBJECT", cell_kind::text, {"/subject"}},
  column{"OUTCOME", cell_kind::text, {"/outcome"}},
  column{"PEER", cell_kind::text, {"/peer"}, true},
  column{"REQUEST", cell_kind::text, {"/request_id"}, true},
  column{"ID", cell_kind::text, {"/id"}, true},
  column{"HASH", cell_kind::text, {"/hash"}, true},
};
constexpr std::array key_columns{
  column{"NAME", cell_kind::text, {"/name"}},    column{"ROLES", cell_kind::words, {"/roles"}},
  column{"TYPES", cell_kind::words, {"/types"}}, column{"EXPIRES", cell_kind::time, {"/expires"}},
  column{"HASH", cell_kind::text, {"/hash"}},
};
constexpr std::array node_columns{
  column{"NODE", cell_kind::text, {"/id"}},
  column{"STATE", cell_kind::status, {"/state"}},
  column{"MEMBERSHIP", cell_kind::text, {"/membership"}},
  column{"ROLES", cell_kind::words, {"/roles"}},
  column{"VERSION", cell_kind::text, {"/version"}},
  column{"LEADERS", cell_kind::number, {"/leaders"}},
  column{"REPLICAS", cell_kind::number, {"/replicas"}},
  column{"ADDRESS", cell_kind::text, {"/address"}},
};
constexpr std::array acceptance_columns{
  column{"AGENT", cell_kind::text, {"/agent"}},    column{"RUN", cell_kind::text, {"/run_id"}},
  column{"EVENT", cell_kind::text, {"/event_id"}}, column{"PENDING", cell_kind::text, {"/pending"}},
  column{"MERGED", cell_kind::text, {"/merged"}},
};

std::span<const column> columns_of(view what) {
  switch (what) {
    case view::agent:
      return agent_columns;
    case view::run:
      return run_columns;
    case view::event:
      return event_columns;
    case view::type:
      return type_columns;
    case view::version:
      return version_columns;
    case view::reconcile:
      return reconcile_columns;
    case view::dead_letter:
      return dead_letter_columns;
    case view::mailbox:
      return mailbox_columns;
    case view::timer:
      return timer_columns;
    case view::audit:
      return audit_columns;
    case view::key:
      return key_columns;
    case view::node:
      return node_columns;
    case view::history:
      return history_columns;
    case view::acceptance:
      return acceptance_columns;
    case view::any:
      break;
  }
  return {};
}

const json& find(const json& document, const column& where) {
  static const json nothing;
  for (const auto* pointer : where.pointers) {
    if (pointer == nullptr)
      break;
    const json::json_pointer at{pointer};
    if (document.is_object() && document.contains(at) && !document.at(at).is_null())
      return document.at(at);
  }
  return nothing;
}

tint tint_of_status(std::string_view status) {
  if (status == "failed" || status == "quarantined" || status == "down")
    return tint::bad;
  if (status == "waiting" || status == "paused" || status == "queued" || status == "cordoned" ||
      status == "draining")
    return tint::busy;
  if (status == "running" || status == "completed" || status == "up")
    return tint::good;
  return tint::none;
}

std::string usage_text(const json& usage) {
  if (!usage.is_object())
    return {};
  return usage.value("input_tokens", json(0)).dump() + " in, " +
         usage.value("output_tokens", json(0)).dump() + " out";
}

std::string cause_text(const json& cause, const view_options& options) {
  if (!cause.is_object())
    return scalar_text(cause);
  auto text = cause.contains("kind") ? scalar_text(cause["kind"]) : std::string{};
  if (cause.contains("until") && cause["until"].is_string())
    text +=
      " " + relative_time(cause["until"].get_ref<const std::string&>(), options.now, options.wide);
  if (cause.contains("detail") && cause["detail"].is_string() && !cause["detail"].empty())
    text += ": " + cause["detail"].get<std::string>();
  return text;
}

std::string targets_text(const json& routes) {
  std::string text;
  for (const auto& route : routes) {
    if (!route.is_object() || !route.value("matched", true))
      continue;
    auto target = route.find("agent");
    if (target == route.end() || target->is_null())
      target = route.find("type");
    if (target != route.end())
      text += (text.empty() ? "" : " ") + scalar_text(*target);
  }
  return text;
}

table_cell cell_of(const column& where, const json& document, const view_options& options) {
  const auto& value = find(document, where);
  table_cell cell;
  if (value.is_null())
    return cell;
  switch (where.kind) {
    case cell_kind::status:
      cell = {scalar_text(value), tint_of_status(scalar_text(value))};
      break;
    case cell_kind::time:
      cell.text = relative_time(scalar_text(value), options.now, options.wide);
      break;
    case cell_kind::usage:
      cell.text = usage_text(value);
      break;
    case cell_kind::cause:
      cell.text = cause_text(value, options);
      break;
    case cell_kind::targets:
      cell.text = targets_text(value);
      break;
    case cell_kind::words:
      for (const auto& word : value)
        cell.text += (cell.text.empty() ? "" : " ") + scalar_text(word);
      break;
    case cell_kind::text:
    case cell_kind::number:
      cell.text = scalar_text(value);
      break;
  }
  cell.text = printable(cell.text);
  return cell;
}

table any_table(const json& items, const view_options& options) {
  table out;
  std::vector<std::string> names;
  for (const auto& item : items)
    for (const auto& [name, value] : item.items())
      if (name != "kind" && !value.is_structured() &&
          std::find(names.begin(), names.end(), name) == names.end())
        names.push_back(name);
  for (auto name : names) {
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
      return c == '_' ? ' ' : static_cast<char>(std::toupper(c));
    });
    out.headings.push_back({name});
  }
  for (const auto& item : items) {
    auto& row = out.rows.emplace_back();
    for (const auto& name : names) {
      const auto text = item.contains(name) && !item[name].is_null() ? scalar_text(item[name]) : "";
      row.push_back({printable(clipped(text, options.wide ? std::string::npos : cell_width_max))});
    }
  }
  return out;
}

}  // namespace

std::string scalar_text(const json& value) {
  if (value.is_string())
    return value.get<std::string>();
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string text_at(const json& object, const char* field) {
  const auto it = object.find(field);
  return it == object.end() || it->is_null() ? std::string{} : scalar_text(*it);
}

table table_of(view what, const json& items, const view_options& options) {
  const auto columns = columns_of(what);
  if (columns.empty())
    return any_table(items, options);
  table out;
  for (const auto& each : columns)
    if (options.wide || !each.wide_only)
      out.headings.push_back({each.title, each.kind == cell_kind::number});
  for (const auto& item : items) {
    auto& row = out.rows.emplace_back();
    for (const auto& each : columns) {
      if (!options.wide && each.wide_only)
        continue;
      row.push_back(cell_of(each, item, options));
      if (!options.wide && each.kind == cell_kind::text && &each == &columns.back())
        row.back().text = clipped(row.back().text, cell_width_max);
    }
  }
  return out;
}

std::string id_of(const json& document) {
  if (!document.is_object())
    return {};
  const auto text = [&](const char* field) {
    const auto it = document.find(field);
    return it == document.end() || it->is_null() || it->is_structured() ? std::string{}
                                                                        : scalar_text(*it);
  };
  const auto kind = text("kind");
  if (kind == "agent" || kind == "why" || kind == "state")
    return text("agent");
  if (kind == "run")
    return text("run_id");
  if (kind == "event")
    return text("event_id");
  if (kind == "accepted" && !text("run_id").empty())
    return text("run_id");
  if (kind == "type_version")
    return text("version");
  if (document.contains("seq") && document.contains("at"))  // of a history: its kinds are many
    return text("seq");
  for (const auto* field : {"id", "event_id", "run_id", "agent", "type", "name", "seq", "version"})
    if (auto id = text(field); !id.empty())
      return id;
  return {};
}

}  // namespace holdfast::cli
