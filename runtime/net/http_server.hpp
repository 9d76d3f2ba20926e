#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/net/http_message.hpp"
#include "runtime/net/responder.hpp"

namespace holdfast::net {

/// Called on an io thread for every complete request. It must not block; it may answer at once or
/// hand the responder on. An exception becomes a 500.
using handler = std::function<void(http_request&&, responder)>;

/// Why the server itself turned a request or a connection away; index into
/// `server_counters::refused`.
enum class refusal_reason : uint8_t {
  malformed,             // 400
  header_timeout,        // 408, head not complete in time
  body_timeout,          // 408, too little of the body in time
  body_too_large,        // 413
  target_too_long,       // 414
  expectation_failed,    // 417
  header_too_large,      // 431
  abandoned,             // 500, every responder was dropped, or the handler threw
  bad_response,          // 500, the answer had a header that would break the framing
  transfer_coding,       // 501
  too_many_connections,  // 503, with Retry-After
  buffers_full,          // 503, with Retry-After: `buffered_bytes_max`
  unsupported_version,   // 505
};
inline constexpr size_t refusal_reason_count = 13;

/// `too_many_connections` and so on: fit for a metric label and for the `refusal` hook.
std::string_view name(refusal_reason reason) noexcept;

/// The status sent for it.
unsigned status_of(refusal_reason reason) noexcept;

/// A reading of the server's counters. Totals since start, except `open` and `streams`.
struct server_counters {
  uint64_t accepted = 0;   ///< connections, refused ones included
  uint64_t open = 0;       ///< connections now
  uint64_t streams = 0;    ///< open streams now
  uint64_t requests = 0;   ///< handed to the handler
  uint64_t timed_out = 0;  ///< connections closed by the idle or write timeout, without an answer
  uint64_t streams_overflowed = 0;  ///< streams closed over their bound
  std::array<uint64_t, refusal_reason_count> refused{};
};

/// Why `start` failed.
enum class listen_failure : uint8_t { none, bad_address, in_use, not_permitted, tls, system };

struct [[nodiscard]] listen_status {
  listen_failure failure = listen_failure::none;
  std::string detail;
  explicit operator bool() const noexcept { return failure == listen_failure::none; }
};

/// An HTTP/1.1 (and 1.0) server. Knows nothing of what is served. `start`, `drain`, `wait_drained`
/// and `stop` belong to one thread that is not an io thread; the rest may be called from any.
class http_server {
public:
  struct tls_files {
    std::string certificate_chain;  ///< PEM file
    std::string private_key;        ///< PEM file
  };

  struct options {
    std::string address = "127.0.0.1";  ///< numeric
    uint16_t port = 0;                  ///< 0: any free one, see `port()`
    unsigned threads = 1;               ///< io threads; a connection stays on one
    size_t body_bytes_max = 1 << 20;
    size_t header_bytes_max = 16 << 10;  ///< request line and headers together
    size_t target_bytes_max = 8 << 10;
    size_t headers_max = 128;
    size_t stream_bytes_max = 256 << 10;    ///< unsent bytes of one stream
    size_t buffered_bytes_max = 256 << 20;  ///< of unfinished bodies, all connections of a thread
    /// Lowered at start to 3/4 of RLIMIT_NOFILE, which is raised to its hard limit first.
    size_t connections_max = 12'000;
    std::chrono::milliseconds header_timeout{10'000};  ///< for the whole head, from its first byte
    std::chrono::milliseconds body_timeout{20'000};    ///< for every further 64 KiB of the body
    std::chrono::milliseconds idle_timeout{60'000};    ///< between requests, and before the first
    std::chrono::milliseconds write_timeout{20'000};   ///< without progress of a write
    std::chrono::seconds retry_after{1};               ///< on 503
    /// Renders a refusal of the server's own; `reason` is `name(refusal_reason)`. Called on an io
    /// thread; must not block. None: a short text/plain body.
    std::function<http_response(unsigned status, std::string_view reason)> refusal;
    std::optional<tls_files> tls;  ///< none: plain TCP
  };

  explicit http_server(options opts);
  ~http_server();  ///< stops
  http_server(const http_server&) = delete;
  http_server& operator=(const http_server&) = delete;

  /// Binds, listens and starts the threads. At most once.
  listen_status start(handler on_request);

  /// Reads certificate and key again: for handshakes from now on. Failed: the old ones stay. After
  /// `start`, any thread; nothing without TLS.
  listen_status reload_tls();

  /// When the certificate expires, in seconds since 1970; nothing without TLS.
  std::optional<int64_t> certificate_expires_s() const;

  /// The port listened on; 0 before `start`.
  uint16_t port() const noexcept;

  /// Stops accepting, closes idle connections, answers the requests in flight with
  /// `Connection: close`. Streams go on: whoever writes them closes them.
  void drain();

  /// Waits until no connection is open, at most `limit`. True when none is.
  bool wait_drained(std::chrono::milliseconds limit);

  /// Closes every connection and joins the threads. Answers that come later go nowhere.
  void stop();

  /// Sends many answers with one hand-over per io thread: for a commit group.
  static void post_batch(std::vector<std::pair<responder, http_response>> replies);

  server_counters counters() const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace holdfast::net
