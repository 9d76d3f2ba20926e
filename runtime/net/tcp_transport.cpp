#include "runtime/net/tcp_transport.hpp"

#include <netinet/tcp.h>
#include <algorithm>
#include <boost/asio/buffer.hpp>

namespace holdfast::net {

namespace {

template <int Level, int Name>
using int_option = asio::detail::socket_option::integer<Level, Name>;

}  // namespace

tcp_transport::tcp_transport(tcp_socket socket, std::span<char> shared_buffer)
  : socket_(std::move(socket)), buffer_(shared_buffer) {}

bool tcp_transport::open(transport_owner& owner) {
  owner_ = &owner;
  error_code ignored;  // a socket that fails here fails its first read
  socket_.non_blocking(true, ignored);
  socket_.set_option(tcp::no_delay{true}, ignored);
  return false;
}

void tcp_transport::read(size_t bytes_max) {
  socket_.async_wait(tcp_socket::wait_read, [this, bytes_max](error_code failure) {
    if (failure)
      owner_->on_read(io_status::failed, {});
    else
      readable(bytes_max);
  });
}

void tcp_transport::readable(size_t bytes_max) {
  error_code failure;
  const auto into = buffer_.first(std::min(bytes_max, buffer_.size()));
  const size_t size = socket_.read_some(asio::buffer(into.data(), into.size()), failure);
  if (!failure)
    owner_->on_read(io_status::ok, {into.data(), size});
  else if (failure == asio::error::would_block || failure == asio::error::try_again)
    read(bytes_max);
  else if (failure == asio::error::eof)
    owner_->on_read(io_status::closed, {});
  else
    owner_->on_read(io_status::failed, {});
}

size_t tcp_transport::write_now(std::string_view bytes, io_status& status) {
  error_code failure;
  const size_t written = socket_.write_some(asio::buffer(bytes.data(), bytes.size()), failure);
  if (!failure)
    status = written == bytes.size() ? io_status::ok : io_status::would_block;
  else if (failure == asio::error::would_block || failure == asio::error::try_again)
    status = io_status::would_block;
  else
    status = io_status::failed;
  return written;
}

void tcp_transport::write(std::string_view bytes) {
  socket_.async_write_some(asio::buffer(bytes.data(), bytes.size()),
                           [this](error_code failure, size_t size) {
                             owner_->on_written(failure ? io_status::failed : io_status::ok, size);
                           });
}

bool tcp_transport::shut_down() {
  error_code ignored;
  socket_.shutdown(tcp_socket::shutdown_send, ignored);
  return false;
}

void tcp_transport::prepare_for_streaming(size_t send_buffer_bytes) {
  prepare_socket_for_streaming(socket_, send_buffer_bytes);
}

void tcp_transport::close(bool reset) { close_socket(socket_, reset); }

void prepare_socket_for_streaming(tcp_socket& socket, size_t send_buffer_bytes) {
  constexpr int idle_s = 60;
  constexpr int interval_s = 15;
  constexpr int probes = 4;
  error_code ignored;  // a stream without probes still ends by its write timeout
  socket.set_option(asio::socket_base::send_buffer_size{static_cast<int>(send_buffer_bytes)},
                    ignored);
  socket.set_option(asio::socket_base::keep_alive{true}, ignored);
  socket.set_option(int_option<IPPROTO_TCP, TCP_KEEPIDLE>{idle_s}, ignored);
  socket.set_option(int_option<IPPROTO_TCP, TCP_KEEPINTVL>{interval_s}, ignored);
  socket.set_option(int_option<IPPROTO_TCP, TCP_KEEPCNT>{probes}, ignored);
}

void close_socket(tcp_socket& socket, bool reset) {
  error_code ignored;  // closed is closed
  if (reset)
    socket.set_option(asio::socket_base::linger{true, 0}, ignored);
  socket.close(ignored);
}

}  // namespace holdfast::net
