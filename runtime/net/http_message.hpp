#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace holdfast::net {

/// Name and value as strings; the order is the order on the wire.
using header_list = std::vector<std::pair<std::string, std::string>>;

/// One header of a received message. The views point into the message that owns it.
struct header_view {
  std::string_view name;
  std::string_view value;
};

/// Compares two ASCII strings without regard to case (header names, schemes, host names).
bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept;

/// True for a non-empty RFC 9110 token: what a method or a header name may be.
bool is_token(std::string_view text) noexcept;

/// True when `text` may be sent as a header value: no CR, LF, NUL or other control but tab.
bool is_header_value(std::string_view text) noexcept;

/// A received request, complete with its body. Owns its storage; moves, does not copy; the views it
/// gives stay valid when it is moved.
class http_request {
public:
  http_request() = default;
  http_request(http_request&&) noexcept = default;
  http_request& operator=(http_request&&) noexcept = default;
  http_request(const http_request&) = delete;
  http_request& operator=(const http_request&) = delete;

  /// Builds a request by hand: for tests, and for requests that did not come from a socket.
  static http_request make(std::string_view method, std::string_view target,
                           const header_list& headers = {}, std::string body = {});

  /// As received, case-sensitive: `POST`.
  std::string_view method() const noexcept { return method_; }

  /// Path and query as received, not decoded. Starts with '/', or is `*` for OPTIONS.
  std::string_view target() const noexcept { return target_; }

  /// The first header of that name (any case); empty when there is none.
  std::string_view header(std::string_view name) const noexcept;

  /// Every header in the order received, repeated ones included.
  std::span<const header_view> headers() const noexcept { return headers_; }

  std::string body;  ///< decoded (no chunk framing), at most `body_bytes_max`
  std::string peer;  ///< the client's address without port: `127.0.0.1`, `::1`
  uint16_t peer_port = 0;
  bool tls = false;  ///< received over TLS

private:
  friend class request_builder;
  std::vector<char> storage_;
  std::vector<header_view> headers_;
  std::string_view method_;
  std::string_view target_;
};

/// Collects the parts of a request into one allocation. Used by the server and by `make`.
class request_builder {
public:
  /// Forgets everything; keeps the memory of its own bookkeeping for the next message.
  void clear(size_t bytes_expected);
  void start(std::string_view method, std::string_view target);
  void add_header(std::string_view name, std::string_view value);
  size_t header_count() const noexcept { return parts_.size(); }
  /// Moves the storage into a request and resolves the views. `clear` comes before the next use.
  http_request finish();

private:
  struct part {
    uint32_t name_size;
    uint32_t value_size;
  };
  std::vector<char> storage_;
  std::vector<part> parts_;
  uint32_t method_size_ = 0;
  uint32_t target_size_ = 0;
};

/// A complete response. `Server`, `Date`, `Content-Length` and `Connection` are the server's; a
/// header here that would break the framing turns the response into a 500.
struct http_response {
  unsigned status = 200;
  std::string content_type;  ///< empty: no Content-Type header
  header_list headers;
  std::string body;
};

/// The standard reason phrase, "Unknown" for a status that has none.
std::string_view reason_phrase(unsigned status) noexcept;

}  // namespace holdfast::net
