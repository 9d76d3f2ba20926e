#include "runtime/gateway/placement.hpp"

namespace holdfast {

namespace {

/// Every id that Holdfast issues holds its partition.
std::optional<group_id> group_of_id(std::string_view text) {
  if (const auto run = parse_run_id(text))
    return run->id.group();
  if (const auto event = parse_event_id(text))
    return event->id.group();
  if (const auto effect = parse_effect_id(text))
    return effect->run.id.group();
  return std::nullopt;
}

bool changes_definitions(const call& c, const api_call& row) {
  return !is_reading(c.request.method()) &&
         (row.path.starts_with("/v1/definitions") || row.path.starts_with("/v1/types/"));
}

bool changes_members(const call& c, const api_call& row) {
  return (c.request.method() == "POST" && row.path == "/v1/nodes") ||
         (c.request.method() == "DELETE" && row.path == "/v1/nodes/{id}");
}

}  // namespace

std::optional<group_id> group_of(const call& c, const api_call& row) {
  const auto partitions = c.node().partitions();
  if (row.path.starts_with("/v1/agents/{type}/{key}")) {
    const auto agent = c.agent();
    return agent ? std::optional{group_of(*agent, partitions)} : std::nullopt;
  }
  if (row.path.starts_with("/v1/nodes"))
    return changes_members(c, row) ? std::optional{catalog_group} : std::nullopt;
  if (row.path.find("/{id}") != std::string_view::npos) {
    const auto text = c.parameter(0);
    const auto group = text ? group_of_id(*text) : std::nullopt;
    return group && *group != catalog_group && *group <= partitions ? group : std::nullopt;
  }
  if (changes_definitions(c, row))
    return catalog_group;
  return std::nullopt;
}

std::optional<std::string> peer_of(const call& c, const api_call& row) {
  if (!row.path.starts_with("/v1/nodes/{id}/"))
    return std::nullopt;
  auto id = c.parameter(0);
  return id && c.node().is_peer(*id) ? std::move(id) : std::nullopt;
}

}  // namespace holdfast
