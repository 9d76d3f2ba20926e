#include "tools/holdfast/api_path.hpp"

#include "runtime/net/url.hpp"
#include "tools/holdfast/failure.hpp"

namespace holdfast::cli {

agent_address parse_agent(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos || slash == 0 || slash + 1 == text.size())
    refuse_usage("`" + std::string{text} + "` is no agent: write type/key, such as support/cus_42");
  return {std::string{text.substr(0, slash)}, std::string{text.substr(slash + 1)}};
}

api_path& api_path::segment(std::string_view value) {
  text_ += '/';
  // A segment of dots alone would be taken for a step in the path.
  if (value == "." || value == "..")
    for (std::size_t i = 0; i < value.size(); ++i)
      text_ += "%2E";
  else
    text_ += net::percent_encode_segment(value);
  return *this;
}

api_path& api_path::fixed(std::string_view text) {
  text_ += text;
  return *this;
}

api_path& api_path::query(std::string_view name, std::string_view value) {
  if (value.empty())
    return *this;
  text_ += has_query_ ? '&' : '?';
  has_query_ = true;
  text_ += name;
  text_ += '=';
  text_ += net::percent_encode_query(value);
  return *this;
}

api_path agent_path(const agent_address& agent, std::string_view rest) {
  api_path path{"/v1/agents"};
  path.segment(agent.type).segment(agent.key).fixed(rest);
  return path;
}

api_path run_path(std::string_view run_id, std::string_view rest) {
  api_path path{"/v1/runs"};
  path.segment(run_id).fixed(rest);
  return path;
}

}  // namespace holdfast::cli
