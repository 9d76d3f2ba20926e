#pragma once
// Facts → server-sent events (INTERFACE §3 "SSE"). Pure: the same facts from the same run's
// beginning give the same events, whether they come from the disk or from a live record, so that a
// stream resumed anywhere goes on exactly there.

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/gateway/run_tracker.hpp"
#include "schemas/state.hpp"

namespace holdfast {

/// A place in an agent's stream. Text: `41` behind everything of fact 41, `41.1` behind the first
/// event of it.
struct stream_cursor {
  static constexpr std::uint32_t whole = UINT32_MAX;
  seq_no seq = 0;
  std::uint32_t part = whole;
  auto operator<=>(const stream_cursor&) const = default;
};
std::string to_string(const stream_cursor& at);
/// Errors: `malformed`.
result<stream_cursor> parse_cursor(std::string_view text);

/// One event as it goes out.
struct rendered_event {
  stream_cursor at;
  run_id run;
  bool ends_run = false;
  std::string text;  ///< `id:`, `event:`, `data:` and the empty line
};

class stream_renderer {
public:
  /// The facts that are fed are those of the journal and of the stream family, from a `run_started`
  /// or from where no run is open.
  explicit stream_renderer(agent_name agent) : agent_(std::move(agent)) { state_.name = agent_; }

  /// Takes the next fact and appends what it shows. `ends_record`: the last of its record that is
  /// in the journal.
  void take(seq_no seq, time_us at, const fact& f, bool ends_record,
            std::vector<rendered_event>& out);

private:
  struct part {
    std::string_view type;
    std::string data;  ///< behind the members that every event has
    run_id run;
    bool ends_run = false;
  };

  void show(const fact& f);
  void show_ended(const run_id& run, std::string_view type, std::string data);
  void show_waiting();
  void show_tool_result(std::uint32_t effect_no, std::string_view status_name,
                        std::string_view output, const failure* why);
  void add(std::string_view type, const run_id& run, std::string data, bool ends_run = false);
  void flush(seq_no seq, time_us at, std::vector<rendered_event>& out);

  agent_name agent_;
  run_tracker tracker_;
  agent_state state_;                             // evolved from the run's facts alone
  std::map<std::uint32_t, std::uint64_t> shown_;  // bytes of text that are on show, by effect
  std::string waiting_for_;                       // what the last run.waiting said
  std::vector<part> parts_;                       // of the fact in hand
};

}  // namespace holdfast
