#include "runtime/net/response_head.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

namespace holdfast::net {

namespace {

constexpr unsigned status_min = 200;
constexpr unsigned status_max = 599;

using status_lines = std::array<std::string, status_max - status_min + 1>;

/// Status line and Server header of every status, made once.
const std::string& status_line(unsigned status) {
  static const status_lines lines = [] {
    status_lines out;
    for (unsigned s = status_min; s <= status_max; ++s)
      out[s - status_min] = "HTTP/1.1 " + std::to_string(s) + " " + std::string{reason_phrase(s)} +
                            "\r\nServer: holdfast\r\n";
    return out;
  }();
  return lines[status - status_min];
}

void append_number(std::string& out, size_t number) {
  std::array<char, 20> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
  out.append(text.data(), end);
}

void append_common(std::string& out, const http_response& response, const response_frame& frame,
                   std::string_view date) {
  out += status_line(response.status);
  out += date;
  if (!response.content_type.empty())
    out.append("Content-Type: ").append(response.content_type).append("\r\n");
  for (const auto& [name, value] : response.headers)
    out.append(name).append(": ").append(value).append("\r\n");
  if (!frame.keep_alive)
    out += "Connection: close\r\n";
  else if (!frame.http_1_1)
    out += "Connection: keep-alive\r\n";
}

bool belongs_to_server(std::string_view name) noexcept {
  static constexpr std::array<std::string_view, 6> names{
    "connection", "content-length", "date", "server", "trailer", "transfer-encoding"};
  return std::any_of(names.begin(), names.end(),
                     [&](std::string_view n) { return equals_ignoring_case(n, name); });
}

/// Statuses that have no body by definition (RFC 9110 §6.4.1).
bool never_has_body(unsigned status) noexcept { return status == 204 || status == 304; }

}  // namespace

std::string date_line(std::time_t now) {
  static constexpr std::array<const char*, 7> days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array<const char*, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::array<char, 64> text;
  const int size = std::snprintf(
    text.data(), text.size(), "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n",
    days[static_cast<size_t>(utc.tm_wday)], utc.tm_mday, months[static_cast<size_t>(utc.tm_mon)],
    utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
  return {text.data(), static_cast<size_t>(size)};
}

bool is_sendable(const http_response& response) noexcept {
  if (response.status < status_min || response.status > status_max)
    return false;
  if (!is_header_value(response.content_type))
    return false;
  return std::all_of(response.headers.begin(), response.headers.end(), [](const auto& header) {
    return is_token(header.first) && is_header_value(header.second) &&
           !belongs_to_server(header.first);
  });
}

void append_response(std::string& out, const http_response& response, const response_frame& frame,
                     std::string_view date) {
  append_common(out, response, frame, date);
  if (never_has_body(response.status)) {
    out += "\r\n";
    return;
  }
  out += "Content-Length: ";
  append_number(out, response.body.size());
  out += "\r\n\r\n";
  if (!frame.is_head)
    out += response.body;
}

void append_stream_head(std::string& out, const http_response& response,
                        const response_frame& frame, std::string_view date) {
  append_common(out, response, frame, date);
  out += frame.http_1_1 ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n";
}

}  // namespace holdfast::net
