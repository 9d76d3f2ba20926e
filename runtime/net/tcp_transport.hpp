#pragma once

#include <memory>
#include <span>

#include "runtime/net/asio_types.hpp"
#include "runtime/net/transport.hpp"

namespace holdfast::net {

/// Plain TCP. Waits for the socket to become readable and only then reads, into a buffer that all
/// connections of the worker share: an idle connection holds no buffer.
class tcp_transport final : public transport {
public:
  /// `shared_buffer` outlives the transport and is used on its io thread only.
  tcp_transport(tcp_socket socket, std::span<char> shared_buffer);

  bool open(transport_owner& owner) override;
  void read(size_t bytes_max) override;
  size_t write_now(std::string_view bytes, io_status& status) override;
  void write(std::string_view bytes) override;
  bool shut_down() override;
  void prepare_for_streaming(size_t send_buffer_bytes) override;
  void close(bool reset) override;
  bool is_tls() const noexcept override { return false; }

private:
  void readable(size_t bytes_max);

  tcp_socket socket_;
  std::span<char> buffer_;
  transport_owner* owner_ = nullptr;
};

/// What both transports do to a socket; see `transport`.
void prepare_socket_for_streaming(tcp_socket& socket, size_t send_buffer_bytes);
void close_socket(tcp_socket& socket, bool reset);

}  // namespace holdfast::net
