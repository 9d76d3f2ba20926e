#pragma once

#include <array>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <memory>
#include <string>

#include "runtime/net/asio_types.hpp"
#include "runtime/net/transport.hpp"

namespace holdfast::net {

/// TLS over TCP. Holds its own input buffer: OpenSSL needs more than that anyway.
class tls_transport final : public transport {
public:
  /// The server's side of a connection.
  tls_transport(tcp_socket socket, asio::ssl::context& context);

  /// The client's side: announces and verifies `host`, a name or an address. Nothing when OpenSSL
  /// does not take the name.
  static std::unique_ptr<tls_transport> for_client(tcp_socket socket, asio::ssl::context& context,
                                                   const std::string& host);

  bool open(transport_owner& owner) override;
  std::string open_failure() const override { return open_failure_; }
  void read(size_t bytes_max) override;
  size_t write_now(std::string_view bytes, io_status& status) override;
  void write(std::string_view bytes) override;
  bool shut_down() override;
  void prepare_for_streaming(size_t send_buffer_bytes) override;
  void close(bool reset) override;
  bool is_tls() const noexcept override { return true; }

private:
  bool answer_plain(const error_code& failure);

  asio::ssl::stream<tcp_socket> stream_;
  asio::ssl::stream_base::handshake_type side_ = asio::ssl::stream_base::server;
  std::string open_failure_;
  std::array<char, 8 << 10> buffer_;
  transport_owner* owner_ = nullptr;
};

}  // namespace holdfast::net
