#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/net/egress.hpp"
#include "runtime/net/transport.hpp"

namespace holdfast::net {

/// Whoever uses a client connection at the moment.
class connection_user {
public:
  virtual void on_opened(io_status status) = 0;
  virtual void on_received(io_status status, std::string_view bytes) = 0;
  /// Some of what `send` was given is with the kernel.
  virtual void on_progress() = 0;
  /// All of what `send` was given is with the kernel, or the connection cannot be written to.
  virtual void on_sent(io_status status) = 0;

protected:
  ~connection_user() = default;
};

/// One connection to a server: used by a call, or idle in the pool, where anything that happens to
/// it means that it is of no more use. Reads all the time. Keeps itself alive while the transport
/// owes a call. Io thread only.
class client_connection final : public transport_owner,
                                public std::enable_shared_from_this<client_connection> {
public:
  client_connection(std::unique_ptr<transport> io, ip_address peer);

  /// Begins to use the connection; `on_opened` follows, at once for plain TCP.
  void open(connection_user& user);

  /// Hands the connection from one user to the next.
  void use(connection_user& user);

  /// Nobody uses it: `on_lost` is called once when it breaks or the server says something.
  void rest(std::function<void()> on_lost);

  /// Writes everything; `on_sent` follows, but not before this returns. One at a time.
  void send(std::string bytes);

  /// False only when it is certain that nothing of what was given to `send` last has left. True
  /// from the moment of `send` (the kernel has the bytes before we hear of it) until a write that
  /// failed at its first byte takes it back.
  bool sent_any() const noexcept { return sent_any_; }
  /// False while the first write may still take it back.
  bool sent_any_is_final() const noexcept { return sent_any_is_final_; }
  bool is_sending() const noexcept { return !out_.empty(); }  ///< or has failed to
  bool is_closed() const noexcept { return closed_; }
  void close();

  const ip_address& peer() const noexcept { return peer_; }
  std::string open_failure() const { return io_->open_failure(); }

private:
  void on_open(io_status status) override;
  void on_read(io_status status, std::string_view bytes) override;
  void on_written(io_status status, size_t bytes) override;
  void on_shut_down() override {}

  void operation_begins();
  void arm_read();
  void write_more();
  std::shared_ptr<client_connection> operation_ended();

  std::unique_ptr<transport> io_;
  const ip_address peer_;
  connection_user* user_ = nullptr;
  std::function<void()> on_lost_;
  std::string out_;
  size_t out_at_ = 0;
  bool sent_any_ = false;
  bool sent_any_is_final_ = true;
  bool closed_ = false;
  unsigned operations_ = 0;
  std::shared_ptr<client_connection> alive_;  // while operations_ > 0
};

}  // namespace holdfast::net
