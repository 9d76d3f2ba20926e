#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/net/http_client.hpp"

namespace holdfast::net {

/// Incremental parser of one HTTP/1 response; interim (1xx) responses before it are skipped.
/// Beast's parser does the grammar. No I/O. Not thread-safe.
class response_parser {
public:
  static constexpr size_t head_bytes_max = 64 << 10;
  static constexpr size_t headers_max = 512;

  enum class progress : uint8_t {
    head,
    body,
    complete,
    malformed,
    head_too_large,
  };

  /// `no_body`: the request's method was HEAD.
  explicit response_parser(bool no_body);
  ~response_parser();

  /// Parses and keeps what must be seen again. Returns the number of bytes used; what is left
  /// behind a complete response is nothing we asked for.
  size_t feed(std::string_view bytes);

  /// The connection has ended: completes a response that is ended by that.
  void end_of_input();

  progress state() const noexcept;
  bool any_byte_seen() const noexcept;

  /// Valid from `body` on.
  const client_response_head& head() const noexcept;
  client_response_head take_head() noexcept;

  /// The decoded body bytes since the last call.
  std::string take_body() noexcept;
  size_t body_bytes_waiting() const noexcept;

  /// Of a complete response: may the connection carry another request?
  bool keep_alive() const noexcept;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace holdfast::net
