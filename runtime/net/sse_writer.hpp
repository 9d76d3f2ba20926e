#pragma once

#include <string>
#include <string_view>

namespace holdfast::net {

/// Appends one event of a text/event-stream to `out`. Data of several lines (CR, LF or CRLF)
/// becomes one `data:` line each, so that it arrives with LF between them. An empty `id` or `type`
/// leaves the field out; CR, LF and NUL in them are dropped, because they could not arrive and
/// would otherwise start a field of the sender's choice.
void append_sse_event(std::string& out, std::string_view id, std::string_view type,
                      std::string_view data);

/// The same as a string.
std::string sse_event_text(std::string_view id, std::string_view type, std::string_view data);

/// Appends a comment, which clients ignore: a keep-alive.
void append_sse_comment(std::string& out, std::string_view text);

/// Appends `retry:`, the reconnection time in milliseconds.
void append_sse_retry(std::string& out, unsigned retry_ms);

}  // namespace holdfast::net
