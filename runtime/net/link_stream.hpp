#pragma once

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/role.hpp>
#include <cstring>
#include <utility>
#include <variant>

#include "runtime/net/asio_types.hpp"

namespace holdfast::net {

/// TCP, with TLS over it or without: what Beast's WebSocket stands on, in one type, so that it is
/// compiled once. Takes handlers only, no other completion tokens.
class link_stream {
public:
  using executor_type = io_executor;
  using tls_stream = asio::ssl::stream<tcp_socket>;

  link_stream(tcp_socket socket, asio::ssl::context* tls) : stream_(std::move(socket)) {
    if (tls) {
      auto plain = std::get<tcp_socket>(std::move(stream_));
      stream_.emplace<tls_stream>(std::move(plain), *tls);
    }
  }

  executor_type get_executor() noexcept { return socket().get_executor(); }

  tcp_socket& socket() noexcept {
    auto* tls = std::get_if<tls_stream>(&stream_);
    return tls ? tls->next_layer() : *std::get_if<tcp_socket>(&stream_);
  }
  bool has_tls() const noexcept { return stream_.index() == 1; }
  tls_stream* tls() noexcept { return std::get_if<tls_stream>(&stream_); }

  template <class Buffers, class Handler>
  void async_read_some(const Buffers& buffers, Handler&& then) {
    if (auto* t = tls())
      t->async_read_some(buffers, std::forward<Handler>(then));
    else
      socket().async_read_some(buffers, std::forward<Handler>(then));
  }

  /// TLS makes a record and a system call of the first buffer alone: small ones are put together.
  template <class Buffers, class Handler>
  void async_write_some(const Buffers& buffers, Handler&& then) {
    if (auto* t = tls())
      t->async_write_some(first_record(buffers), std::forward<Handler>(then));
    else
      socket().async_write_some(buffers, std::forward<Handler>(then));
  }

private:
  static constexpr size_t record_bytes = 16 << 10;

  template <class Buffers>
  asio::const_buffer first_record(const Buffers& buffers) {
    asio::const_buffer only;
    size_t used = 0;
    const auto end = asio::buffer_sequence_end(buffers);
    for (auto at = asio::buffer_sequence_begin(buffers); at != end && used < record_bytes; ++at) {
      const asio::const_buffer piece{*at};
      if (piece.size() == 0)
        continue;
      if (only.size() == 0 && used == 0) {  // copied only if another one follows
        only = piece;
        if (only.size() >= record_bytes)
          return only;
        continue;
      }
      if (used == 0) {
        std::memcpy(gathered_.data(), only.data(), only.size());
        used = only.size();
      }
      const size_t size = std::min(piece.size(), record_bytes - used);
      std::memcpy(gathered_.data() + used, piece.data(), size);
      used += size;
    }
    return used ? asio::buffer(gathered_.data(), used) : only;
  }

  std::variant<tcp_socket, tls_stream> stream_;
  std::array<char, record_bytes> gathered_;  // Beast has one write under way at a time
};

// What Beast asks for to end a WebSocket (found by argument-dependent lookup).

inline void beast_close_socket(link_stream& stream) {
  error_code ignored;
  stream.socket().close(ignored);
}

inline void teardown(boost::beast::role_type, link_stream& stream, error_code& failure) {
  stream.socket().shutdown(tcp::socket::shutdown_send, failure);
}

template <class Handler>
void async_teardown(boost::beast::role_type role, link_stream& stream, Handler&& then) {
  error_code ignored;
  teardown(role, stream, ignored);
  asio::post(stream.get_executor(),
             [h = std::forward<Handler>(then)]() mutable { std::move(h)(error_code{}); });
}

}  // namespace holdfast::net
