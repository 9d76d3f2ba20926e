#pragma once
// The events of a run (INTERFACE §3, SSE) as JSON lines, or as text while it is written.

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "tools/holdfast/client.hpp"
#include "tools/holdfast/failure.hpp"
#include "tools/holdfast/session.hpp"

namespace holdfast::cli {

/// `{"event": "text.delta", "cursor": …, …the fields of its data…}`.
nlohmann::ordered_json stream_line(const net::sse_event& event);

/// True for what ends a run: run.completed, run.failed, run.cancelled.
bool ends_run(std::string_view event_type) noexcept;

enum class stream_of : unsigned char { run, agent };

/// Prints a stream as JSON lines: a run's to its end, an agent's until interrupted.
exit_code print_stream(session& with, const api_path& path, const std::string& cursor,
                       stream_of what);

/// A run for people: its text on stdout as it comes, tool calls and times on stderr.
class run_printer {
public:
  explicit run_printer(session& with) : with_(with) {}

  void print(const net::sse_event& event);

  /// Set once the run has ended: `done`, or `failed` for one that failed or was cancelled.
  const std::optional<exit_code>& end() const noexcept { return end_; }

private:
  struct tool_call {
    std::string name;
    std::string at;
  };

  void print_text(const nlohmann::ordered_json& data);
  void rewind_text(const nlohmann::ordered_json& data);
  void print_tool_result(const nlohmann::ordered_json& data);
  void print_end(const std::string& type, const nlohmann::ordered_json& data);
  void note(const std::string& line);
  void end_line();

  session& with_;
  std::map<std::string, tool_call> calls_;  // open ones, by effect
  std::string step_;                        // whose text is being written
  std::string text_;                        // of that step
  std::string started_at_;
  bool in_line_ = false;  // stdout is not at the start of a line
  bool any_text_ = false;
  std::optional<exit_code> end_;
};

}  // namespace holdfast::cli
