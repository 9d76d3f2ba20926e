#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/net/egress.hpp"
#include "runtime/net/http_message.hpp"

namespace holdfast::net {

/// One call. Redirects are not followed, compression is not asked for.
struct client_request {
  std::string method = "GET";
  std::string url;      ///< absolute, http or https
  header_list headers;  ///< not Host, Content-Length, Transfer-Encoding, Connection, Expect or TE
  std::string body;

  std::chrono::milliseconds connect_timeout{10'000};     ///< name, TCP and TLS together
  std::chrono::milliseconds first_byte_timeout{60'000};  ///< from the request's last byte
  std::chrono::milliseconds idle_timeout{60'000};        ///< between two pieces of the response
  std::chrono::milliseconds total_timeout{600'000};      ///< of the whole call

  /// Bound on the response body. Beyond: failure `too_large`, or with `truncate` a success with the
  /// first `response_bytes_max` bytes and `truncated` set.
  size_t response_bytes_max = 8 << 20;
  bool truncate = false;

  /// Hand the body over piece by piece and do not keep it.
  bool stream = false;

  /// The receiver may get this request twice (it reads only, or it carries an idempotency key).
  /// Only then is it sent again, once, when a kept-alive connection turns out to be dead; and only
  /// then is a connection reused that has been idle for long.
  bool replayable = false;

  /// Where the call may go. None: global addresses only (a default `egress_policy`).
  std::shared_ptr<const egress_policy> egress;
};

enum class client_failure : uint8_t {
  none,
  bad_url,
  bad_request,  // method or header that cannot be sent
  overloaded,   // `calls_max` reached
  resolve,
  refused_address,  // every address of the host is against the egress policy
  connect,
  tls,           // handshake or certificate
  sent_nothing,  // the connection failed before a byte of the request was written
  reset,         // closed or failed after that, before the response was complete
  timeout_connect,
  timeout_first_byte,
  timeout_idle,
  timeout_total,
  too_large,  // response head over 64 KiB, or body over `response_bytes_max`
  malformed,  // not HTTP
  cancelled,
};

std::string_view name(client_failure failure) noexcept;

/// What the server said before its body.
struct client_response_head {
  unsigned status = 0;
  header_list headers;

  /// The first header of that name (any case); empty when there is none.
  std::string_view header(std::string_view name) const noexcept;
};

struct client_result {
  client_failure failure = client_failure::none;
  /// False only when it is certain that the server has seen nothing of the request.
  bool request_bytes_sent = false;
  client_response_head head;  ///< status 0 when none arrived
  std::string body;           ///< empty for a streamed call
  bool truncated = false;
  std::string detail;  ///< for people; never a secret, a body or a URL's query

  explicit operator bool() const noexcept { return failure == client_failure::none; }
};

/// All are called on the client's io thread, in this order, and must not block. Nothing is called
/// after `on_done`, which is called exactly once, also after `cancel`.
struct client_callbacks {
  std::function<void(const client_response_head&)> on_head;  ///< optional
  std::function<void(std::string_view)> on_body_piece;       ///< for streamed calls
  std::function<void(client_result&&)> on_done;
};

/// Names a call that was started. Copyable; dropping it does not cancel. Any thread.
class call_handle {
public:
  call_handle() = default;
  /// Ends the call with `cancelled` unless it has ended; closes its connection. Asynchronous.
  void cancel() const;

private:
  friend class http_client;
  struct state;
  std::shared_ptr<state> state_;
};

/// An asynchronous HTTP/1.1 client over TCP and TLS, with its own io thread and a pool of
/// connections per (scheme, host, port). TLS always verifies the chain and the host name.
class http_client {
public:
  struct options {
    std::string ca_file;  ///< PEM, in addition to the system's; empty: none
    bool ca_system = true;
    size_t calls_max = 4'096;  ///< at the same time; beyond: `overloaded`
    size_t idle_per_origin_max = 128;
    size_t idle_total_max = 512;
    std::chrono::milliseconds idle_expiry{50'000};
    /// A call that is not `replayable` only reuses a connection idle for less than this.
    std::chrono::milliseconds idle_unreplayable_max{1'000};
    std::string user_agent = "holdfast";
  };

  struct counters {
    uint64_t calls = 0;
    uint64_t active = 0;  ///< now
    uint64_t connections_opened = 0;
    uint64_t connections_reused = 0;
    uint64_t replays = 0;  ///< calls sent again after a stale connection
  };

  /// Throws std::runtime_error when the CA file cannot be read.
  explicit http_client(options opts);
  /// Cancels every call, calls their `on_done`, joins the io thread. Not from a callback.
  ~http_client();
  http_client(const http_client&) = delete;
  http_client& operator=(const http_client&) = delete;

  /// Starts a call. Any thread, callbacks included.
  call_handle start(client_request request, client_callbacks callbacks);

  counters stats() const;

private:
  friend class call_handle;
  struct impl;
  std::shared_ptr<impl> impl_;
};

}  // namespace holdfast::net
