#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast::net {

/// One event of a text/event-stream. The bytes are as received; UTF-8 is not checked here.
struct sse_event {
  std::string id;    ///< the last id seen up to and including this event; empty when none
  std::string type;  ///< the `event` field; empty means `message`
  std::string data;  ///< `data` lines joined by LF; may be empty (a line `data:` alone)
};

enum class sse_failure : uint8_t { none, event_too_large };

/// Incremental parser of WHATWG HTML §9.2.6 "Interpreting an event stream". Bytes may be cut
/// anywhere. Pure, not thread-safe. An event that is not ended by a blank line when the stream ends
/// is not delivered, as the standard says.
class sse_parser {
public:
  static constexpr size_t event_bytes_max_default = 4 << 20;

  /// `event_bytes_max` bounds one line and the data of one event.
  explicit sse_parser(size_t event_bytes_max = event_bytes_max_default)
    : event_bytes_max_(event_bytes_max) {}

  /// Parses a piece and calls back for every event that it completes. After a failure the parser
  /// ignores everything and repeats the failure.
  sse_failure feed(std::string_view bytes, const std::function<void(sse_event&&)>& on_event);

  /// The `Last-Event-ID` to resume with, from complete blocks only, also from those without data.
  const std::string& last_event_id() const noexcept { return last_event_id_; }

  /// The last reconnection time the server asked for, in milliseconds.
  std::optional<uint64_t> retry_ms() const noexcept { return retry_ms_; }

private:
  void take_line(std::string_view line, const std::function<void(sse_event&&)>& on_event);
  void take_field(std::string_view name, std::string_view value);
  void skip_byte_order_mark(std::string_view& bytes);

  size_t event_bytes_max_;
  std::string line_;  // the unfinished line
  std::string id_;
  std::string type_;
  std::string data_;
  bool has_data_ = false;
  std::string last_event_id_;
  std::optional<uint64_t> retry_ms_;
  unsigned mark_bytes_seen_ = 0;  // of the byte order mark; 3: past it
  bool after_cr_ = false;         // an LF now belongs to the CR before it
  sse_failure failure_ = sse_failure::none;
};

}  // namespace holdfast::net
