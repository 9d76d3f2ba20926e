#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast::net {

/// How a transfer ended.
enum class io_status : uint8_t {
  ok,
  would_block,  // `write_now` only
  closed,       // the peer has closed its sending side
  failed,       // reset, cancelled, TLS error
};

/// Receives what a transport reports. Everything happens on the transport's io thread.
class transport_owner {
public:
  /// Ends an `open` that returned true. `closed`: the peer was told why not.
  virtual void on_open(io_status status) = 0;
  /// Ends a `read`. The bytes are valid during the call only.
  virtual void on_read(io_status status, std::string_view bytes) = 0;
  /// Ends a `write`: that many bytes, at least one when ok, are with the kernel.
  virtual void on_written(io_status status, size_t bytes) = 0;
  /// Ends a `shut_down` that returned true.
  virtual void on_shut_down() = 0;

protected:
  ~transport_owner() = default;
};

/// A connected byte stream, plain or TLS, with at most one `read` and one `write` or `shut_down`
/// under way. Each ends in exactly one call to the owner, also after `close`; the owner outlives
/// them.
class transport {
public:
  virtual ~transport() = default;

  /// Names the owner and begins a handshake if there is one: then true, and `on_open` follows.
  virtual bool open(transport_owner& owner) = 0;

  /// Why the handshake failed, for people. Empty when it did not.
  virtual std::string open_failure() const { return {}; }

  /// Waits for bytes; reads at most `bytes_max` of them.
  virtual void read(size_t bytes_max) = 0;

  /// Writes what can be written without waiting. Returns the bytes written and says why not more.
  virtual size_t write_now(std::string_view bytes, io_status& status) = 0;

  /// Writes some of the bytes, which stay valid until `on_written`.
  virtual void write(std::string_view bytes) = 0;

  /// Tells the peer that nothing more follows. True when that takes time: `on_shut_down` follows.
  virtual bool shut_down() = 0;

  /// Bounds the kernel's send buffer and turns on keep-alive probes: for streams, where nothing is
  /// expected from the client for hours.
  virtual void prepare_for_streaming(size_t send_buffer_bytes) = 0;

  /// Closes at once and ends what is under way. `reset` also discards what the kernel still holds.
  virtual void close(bool reset) = 0;

  virtual bool is_tls() const noexcept = 0;
};

}  // namespace holdfast::net
