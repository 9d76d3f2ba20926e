#include "runtime/net/request_head.hpp"

#include <algorithm>
#include <array>

namespace holdfast::net {

namespace {

bool belongs_to_client(std::string_view name) noexcept {
  static constexpr std::array<std::string_view, 8> names{
    "connection", "content-length", "expect",  "host",
    "te",         "trailer",        "upgrade", "transfer-encoding"};
  return std::any_of(names.begin(), names.end(),
                     [&](std::string_view n) { return equals_ignoring_case(n, name); });
}

bool has_header(const client_request& request, std::string_view name) noexcept {
  return std::any_of(request.headers.begin(), request.headers.end(),
                     [&](const auto& h) { return equals_ignoring_case(h.first, name); });
}

bool has_body(const client_request& request) noexcept {
  return !request.body.empty() || request.method == "POST" || request.method == "PUT" ||
         request.method == "PATCH";
}

}  // namespace

std::string request_defect(const client_request& request) {
  if (!is_token(request.method) || request.method == "CONNECT")
    return "method cannot be sent";
  for (const auto& [name, value] : request.headers) {
    if (!is_token(name))
      return "header name is not a token";
    if (!is_header_value(value))
      return "header " + name + " has a control character";
    if (belongs_to_client(name))
      return "header " + name + " is set by the client itself";
  }
  return {};
}

std::string request_head(const client_request& request, const url& to,
                         std::string_view user_agent) {
  std::string out;
  out.reserve(256 + request.url.size() + request.headers.size() * 64);
  out.append(request.method).append(" ").append(to.target()).append(" HTTP/1.1\r\n");
  out.append("Host: ").append(to.authority()).append("\r\n");
  if (!has_header(request, "User-Agent"))
    out.append("User-Agent: ").append(user_agent).append("\r\n");
  if (!has_header(request, "Accept"))
    out += "Accept: */*\r\n";
  if (!has_header(request, "Accept-Encoding"))
    out += "Accept-Encoding: identity\r\n";
  for (const auto& [name, value] : request.headers)
    out.append(name).append(": ").append(value).append("\r\n");
  if (has_body(request))
    out.append("Content-Length: ").append(std::to_string(request.body.size())).append("\r\n");
  out += "\r\n";
  return out;
}

}  // namespace holdfast::net
