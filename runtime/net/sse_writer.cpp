#include "runtime/net/sse_writer.hpp"

namespace holdfast::net {

namespace {

/// Appends what fits on one line of a stream: everything but CR, LF and NUL.
void append_one_line(std::string& out, std::string_view text) {
  for (const char c : text)
    if (c != '\r' && c != '\n' && c != '\0')
      out += c;
}

}  // namespace

void append_sse_event(std::string& out, std::string_view id, std::string_view type,
                      std::string_view data) {
  if (!id.empty()) {
    out += "id: ";
    append_one_line(out, id);
    out += '\n';
  }
  if (!type.empty()) {
    out += "event: ";
    append_one_line(out, type);
    out += '\n';
  }
  while (true) {
    const auto end = data.find_first_of("\r\n");
    out += "data: ";
    out += data.substr(0, end);
    out += '\n';
    if (end == std::string_view::npos)
      break;
    const bool crlf = data.substr(end, 2) == "\r\n";
    data.remove_prefix(end + (crlf ? 2 : 1));
  }
  out += '\n';
}

std::string sse_event_text(std::string_view id, std::string_view type, std::string_view data) {
  std::string out;
  out.reserve(id.size() + type.size() + data.size() + 32);
  append_sse_event(out, id, type, data);
  return out;
}

void append_sse_comment(std::string& out, std::string_view text) {
  out += ": ";
  append_one_line(out, text);
  out += "\n\n";
}

void append_sse_retry(std::string& out, unsigned retry_ms) {
  out += "retry: " + std::to_string(retry_ms) + "\n\n";
}

}  // namespace holdfast::net
