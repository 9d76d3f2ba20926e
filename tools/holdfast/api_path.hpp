#pragma once
// Paths and queries of INTERFACE §3, with the parts that users gave percent-encoded. Pure.

#include <optional>
#include <string>
#include <string_view>

namespace holdfast::cli {

struct agent_address {
  std::string type;
  std::string key;
  std::string text() const { return type + "/" + key; }
};

/// Splits `type/key` at the first `/`. Throws `command_failure` (usage) when a half is missing;
/// what a type or key may be is for the server to say.
agent_address parse_agent(std::string_view text);

/// A request target under construction.
class api_path {
public:
  /// Starts with text that is sent as it is: `/v1/agents`.
  explicit api_path(std::string_view fixed) : text_(fixed) {}

  /// Appends `/` and one encoded segment.
  api_path& segment(std::string_view value);
  /// Appends text as it is: `/events`.
  api_path& fixed(std::string_view text);
  /// Appends `name=value`; nothing when the value is empty.
  api_path& query(std::string_view name, std::string_view value);

  const std::string& text() const noexcept { return text_; }

private:
  std::string text_;
  bool has_query_ = false;
};

/// `/v1/agents/{type}/{key}` and what follows it.
api_path agent_path(const agent_address& agent, std::string_view rest = {});
/// `/v1/runs/{id}` and what follows it.
api_path run_path(std::string_view run_id, std::string_view rest = {});

}  // namespace holdfast::cli
