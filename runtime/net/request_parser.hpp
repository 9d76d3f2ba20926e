#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/net/http_message.hpp"
#include "runtime/net/http_server.hpp"

namespace holdfast::net {

/// Incremental parser of one HTTP/1 request after another. Beast's parser does the grammar; what is
/// added are the bounds it does not keep (headers fed in drops, their number, the target, chunk
/// extensions and trailers) and the refusals of RFC 9112 §3.2, §6.1 that stop request smuggling.
/// No I/O. Not thread-safe.
class request_parser {
public:
  enum class progress : uint8_t {
    head,      // still within the head
    body,      // head accepted, body incomplete
    complete,  // `take` may be called
    refused,   // see `refusal`; nothing more is parsed
  };

  explicit request_parser(const http_server::options& limits);
  ~request_parser();
  request_parser(request_parser&&) noexcept;

  /// Parses, and keeps what must be seen again. Returns the number of bytes used: less than given
  /// only when a request is complete, the rest is the next one's, or when it is refused.
  size_t feed(std::string_view bytes);

  progress state() const noexcept;
  refusal_reason refusal() const noexcept;

  /// True once something other than empty lines before a request has been seen.
  bool started() const noexcept;

  /// True when the client waits for `100 Continue`: head accepted, no byte of the body seen.
  bool wants_continue() const noexcept;

  /// Body bytes held now.
  size_t body_bytes() const noexcept;

  /// Of the request just completed or refused:
  bool keep_alive() const noexcept;
  bool http_1_1() const noexcept;
  bool is_head() const noexcept;  ///< the method is HEAD

  /// The request; `peer` and `tls` are left to the caller. Then `reset` before the next.
  http_request take();

  /// Forgets everything.
  void reset();

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace holdfast::net
