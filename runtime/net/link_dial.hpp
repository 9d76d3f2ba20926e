#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "runtime/net/asio_types.hpp"
#include "runtime/net/name_resolver.hpp"

namespace holdfast::net {

/// One attempt to reach an address: name lookup and TCP. Belongs to the io thread.
class link_dial : public std::enable_shared_from_this<link_dial> {
public:
  /// Called once, with an open socket or with why there is none.
  using callback = std::function<void(tcp_socket* socket, const std::string& failure)>;

  link_dial(asio::io_context& io, int64_t deadline_ms, bool loopback_only, callback on_done);

  /// `turn` chooses among the addresses of a name: another one at every attempt.
  void start(name_resolver& names, const std::string& host, uint16_t port, unsigned turn);

  void sweep(int64_t now_ms);

  /// Ends without a call.
  void cancel();

private:
  void connect(const asio::ip::address& address, uint16_t port);
  void done(const std::string& failure);

  asio::io_context& io_;
  int64_t deadline_ms_;
  bool loopback_only_;
  callback on_done_;
  std::shared_ptr<std::atomic<bool>> wanted_ = std::make_shared<std::atomic<bool>>(true);
  tcp_socket socket_;
};

}  // namespace holdfast::net
