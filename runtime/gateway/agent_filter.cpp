#include "runtime/gateway/agent_filter.hpp"

#include <array>

namespace holdfast {

std::optional<agent_status> agent_status_of(std::string_view name) noexcept {
  for (const auto one : {agent_status::idle, agent_status::running, agent_status::waiting,
                         agent_status::paused, agent_status::quarantined})
    if (to_string(one) == name)
      return one;
  return std::nullopt;
}

result<agent_filter> agent_filter_of(std::string_view type, std::string_view status_name,
                                     std::string_view where, const compilers& with) {
  agent_filter out;
  if (!type.empty() && !is_valid_type(type))
    return error{errc::malformed,
                 "`type` is 1 to 63 of a-z, 0-9 and '-', and starts with a letter"};
  out.type = type;
  if (!status_name.empty()) {
    out.status_is = agent_status_of(status_name);
    if (!out.status_is)
      return error{errc::malformed,
                   "`status` is one of idle, running, waiting, paused, quarantined"};
  }
  if (!where.empty()) {
    if (!with.jq)
      return error{errc::not_available, "`where` is not available on this node"};
    auto compiled = with.jq(where);
    if (!compiled)
      return error{compiled.error().code, "`where`: " + compiled.error().context};
    out.where = std::move(*compiled);
  }
  return out;
}

bool matches(const agent_filter& filter, const agent_facts& agent) {
  if (filter.status_is && status_of(agent.state) != *filter.status_is)
    return false;
  if (!filter.where)
    return true;
  const auto truth = filter.where->evaluate(agent_document(agent));
  return truth && is_true(*truth);
}

}  // namespace holdfast
