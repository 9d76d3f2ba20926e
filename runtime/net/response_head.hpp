#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

#include "runtime/net/http_message.hpp"

namespace holdfast::net {

/// What the request and the connection demand of a response.
struct response_frame {
  bool http_1_1 = true;
  bool keep_alive = true;
  bool is_head = false;  ///< the request's method was HEAD: headers only
};

/// `Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n` (RFC 9110 §5.6.7), for a time in seconds since 1970.
std::string date_line(std::time_t now);

/// True when the response can be sent as it is: a final status, header names that are tokens,
/// values without control characters, and none of the headers that belong to the server.
bool is_sendable(const http_response& response) noexcept;

/// Appends a complete response with Content-Length. Requires `is_sendable`.
void append_response(std::string& out, const http_response& response, const response_frame& frame,
                     std::string_view date);

/// Appends the head of a response whose body follows in pieces: chunked for HTTP/1.1, else ended by
/// close. Requires `is_sendable`.
void append_stream_head(std::string& out, const http_response& response,
                        const response_frame& frame, std::string_view date);

}  // namespace holdfast::net
