// The documents of definitions: types, versions, hooks, and what applying changed.

#include "runtime/gateway/documents.hpp"
#include "runtime/gateway/json_text.hpp"

namespace holdfast {

namespace {

/// A text member of canonical JSON; empty when there is none.
std::string member_text(std::string_view canonical, std::string_view name) {
  for (object_walk walk{canonical}; walk.next();)
    if (walk.is(name))
      return string_value(walk.value()).value_or(std::string{});
  return {};
}

const definition_applied* current_of(const definition_history& history) {
  const auto found = history.versions.find(history.current);
  return found == history.versions.end() ? nullptr : &found->second;
}

time_us applied_at(const definition_history& history, std::uint32_t version) {
  const auto found = history.applied_at.find(version);
  return found == history.applied_at.end() ? 0 : found->second;
}

std::string_view to_string(definition_change::what change) noexcept {
  switch (change) {
    case definition_change::what::created:
      return "created";
    case definition_change::what::updated:
      return "updated";
    case definition_change::what::unchanged:
      return "unchanged";
  }
  return "unchanged";
}

}  // namespace

void write_type(json_writer& json, const definition_history& history, std::string_view name,
                bool whole) {
  const auto* current = current_of(history);
  const std::string_view content =
    current != nullptr ? std::string_view{current->content} : std::string_view{};
  const std::string behaviour = member_text(content, "behaviour");
  json.begin_object();
  json.field("kind", "type");
  json.field("type", name);
  json.field("version", history.current);
  json.field("versions", history.versions.size());
  json.field("description", member_text(content, "description"));
  json.field("behaviour",
             behaviour.empty() ? std::string_view{"llm"} : std::string_view{behaviour});
  write_time(json, "applied_at", applied_at(history, history.current));
  if (whole)
    json.key("definition").json_or_text(content);
  json.end_object();
}

void write_type_version(json_writer& json, const definition_applied& version, time_us at,
                        bool current) {
  json.begin_object();
  json.field("kind", "type_version");
  json.field("type", version.name);
  json.field("version", version.version);
  json.field("current", current);
  write_time(json, "applied_at", at);
  json.field("by", version.by);
  json.key("definition").json_or_text(version.content);
  json.end_object();
}

void write_hook(json_writer& json, const definition_history& history, std::string_view source) {
  const auto* current = current_of(history);
  const std::string preset =
    current != nullptr ? member_text(current->content, "preset") : std::string{};
  json.begin_object();
  json.field("kind", "hook");
  json.field("source", source);
  json.field("version", history.current);
  json.field("preset", preset.empty() ? std::string_view{"none"} : std::string_view{preset});
  json.field("path", "/v1/hooks/" + std::string{source});
  write_time(json, "applied_at", applied_at(history, history.current));
  json.end_object();
}

std::string definitions_document(const definitions_done& done, bool dry_run) {
  std::string body;
  json_writer json{body};
  json.begin_object();
  json.field("kind", "definitions");
  json.field("dry_run", dry_run);
  json.key("items").begin_array();
  for (const auto& change : done.changes) {
    json.begin_object();
    json.field("kind", change.kind);
    json.field("name", change.name);
    json.field("version", change.version);
    json.field("change", to_string(change.change));
    if (dry_run) {
      json.key("before").json_or_text(change.before);
      json.key("after").json_or_text(change.after);
    }
    json.end_object();
  }
  json.end_array();
  json.end_object();
  return body;
}

}  // namespace holdfast
