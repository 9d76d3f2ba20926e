#include "runtime/net/tls_transport.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>

#include "runtime/net/egress.hpp"
#include "runtime/net/tcp_transport.hpp"

namespace holdfast::net {

namespace {

/// "certificate verify failed" alone helps nobody: adds what is wrong with the certificate.
std::string explain(const error_code& failure, SSL* ssl) {
  const long verdict = SSL_get_verify_result(ssl);
  if (verdict == X509_V_OK)
    return failure.message();
  return failure.message() + ": " + X509_verify_cert_error_string(verdict);
}

/// A problem document like any other refusal.
std::string refusal_of_plain_http() {
  constexpr std::string_view body =
    R"({"type":"urn:holdfast:problem:malformed","title":"The request cannot be read","status":400,)"
    R"("detail":"this port speaks TLS: use https://","code":"malformed"})";
  return "HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + std::string{body};
}

}  // namespace

tls_transport::tls_transport(tcp_socket socket, asio::ssl::context& context)
  : stream_(std::move(socket), context) {}

std::unique_ptr<tls_transport>
tls_transport::for_client(tcp_socket socket, asio::ssl::context& context, const std::string& host) {
  auto out = std::make_unique<tls_transport>(std::move(socket), context);
  out->side_ = asio::ssl::stream_base::client;
  error_code failure;
  out->stream_.set_verify_mode(asio::ssl::verify_peer, failure);
  if (!failure)
    out->stream_.set_verify_callback(asio::ssl::host_name_verification{host}, failure);
  const bool is_address = ip_address::parse(host).has_value();  // has no place in SNI (RFC 6066)
  if (failure ||
      (!is_address && !SSL_set_tlsext_host_name(out->stream_.native_handle(), host.c_str())))
    return nullptr;
  return out;
}

bool tls_transport::open(transport_owner& owner) {
  owner_ = &owner;
  error_code ignored;  // a socket that fails here fails the handshake
  stream_.next_layer().set_option(tcp::no_delay{true}, ignored);
  stream_.async_handshake(side_, [this](error_code failure) {
    if (failure)
      open_failure_ = explain(failure, stream_.native_handle());
    owner_->on_open(!failure                ? io_status::ok
                    : answer_plain(failure) ? io_status::closed
                                            : io_status::failed);
  });
  return true;
}

/// A client that speaks HTTP where TLS is spoken is told so, as far as that goes without waiting.
bool tls_transport::answer_plain(const error_code& failure) {
  if (side_ != asio::ssl::stream_base::server ||
      failure.category() != asio::error::get_ssl_category() ||
      ERR_GET_REASON(static_cast<unsigned long>(failure.value())) != SSL_R_HTTP_REQUEST)
    return false;
  static const auto answer = refusal_of_plain_http();
  auto& socket = stream_.next_layer();
  error_code ignored;
  socket.non_blocking(true, ignored);
  socket.write_some(asio::buffer(answer.data(), answer.size()), ignored);
  socket.shutdown(tcp_socket::shutdown_send, ignored);
  return true;
}

void tls_transport::read(size_t bytes_max) {
  stream_.async_read_some(
    asio::buffer(buffer_.data(), std::min(bytes_max, buffer_.size())),
    [this](error_code failure, size_t size) {
      if (!failure)
        owner_->on_read(io_status::ok, {buffer_.data(), size});
      else if (failure == asio::error::eof)
        owner_->on_read(io_status::closed, {});
      else  // also an end without close_notify, which anybody on the path could have made
        owner_->on_read(io_status::failed, {});
    });
}

/// A record once encrypted cannot be taken back, so TLS never writes half-heartedly.
size_t tls_transport::write_now(std::string_view, io_status& status) {
  status = io_status::would_block;
  return 0;
}

void tls_transport::write(std::string_view bytes) {
  stream_.async_write_some(asio::buffer(bytes.data(), bytes.size()),
                           [this](error_code failure, size_t size) {
                             owner_->on_written(failure ? io_status::failed : io_status::ok, size);
                           });
}

bool tls_transport::shut_down() {
  stream_.async_shutdown([this](error_code) { owner_->on_shut_down(); });
  return true;
}

void tls_transport::prepare_for_streaming(size_t send_buffer_bytes) {
  prepare_socket_for_streaming(stream_.next_layer(), send_buffer_bytes);
}

void tls_transport::close(bool reset) { close_socket(stream_.next_layer(), reset); }

}  // namespace holdfast::net
