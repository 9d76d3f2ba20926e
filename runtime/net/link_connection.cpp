#include "runtime/net/link_connection.hpp"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include "runtime/net/link_certificates.hpp"
#include "runtime/net/tcp_transport.hpp"

namespace holdfast::net {

namespace websocket = boost::beast::websocket;
namespace beast_http = boost::beast::http;

namespace {

constexpr int64_t linger_ms = 500;  // so that the peer can read why
constexpr std::string_view duplicate_mark = "duplicate";

std::string_view link_status_line(unsigned status) {
  switch (status) {
    case 200:
      return "200 OK";
    case 403:
      return "403 Forbidden";
    case 404:
      return "404 Not Found";
    case 409:
      return "409 Conflict";
    case 426:
      return "426 Upgrade Required\r\nUpgrade: websocket";
    case 431:
      return "431 Request Header Fields Too Large";
    default:
      return "400 Bad Request";
  }
}

/// The end of an HTTP head, or the first byte when that is not the beginning of one.
struct head_end {
  template <class Iterator>
  std::pair<Iterator, bool> operator()(Iterator begin, Iterator end) {
    if (begin != end && !std::exchange(begun, true) && !(*begin >= 'A' && *begin <= 'Z'))
      return {begin, true};
    static constexpr std::string_view mark = "\r\n\r\n";
    const auto at = std::search(begin, end, mark.begin(), mark.end());
    if (at != end)
      return {at + mark.size(), true};
    return {end - std::min<std::ptrdiff_t>(end - begin, mark.size() - 1), false};
  }
  bool begun = false;
};

template <class Fields>
auto finder(const Fields& fields) {
  return [&fields](std::string_view name) {
    const auto value = fields[boost::beast::string_view{name.data(), name.size()}];
    return std::string_view{value.data(), value.size()};
  };
}

template <class Message>
auto decorator(const link_greeting& greeting) {
  return websocket::stream_base::decorator([headers = to_headers(greeting)](Message& message) {
    for (const auto& [name, value] : headers)
      message.set(name, value);
  });
}

}  // namespace

}  // namespace holdfast::net

template <>
struct boost::asio::is_match_condition<holdfast::net::head_end> : std::true_type {};

namespace holdfast::net {

link_connection::link_connection(link_shared& shared, tcp_socket socket, asio::ssl::context* tls,
                                 std::string expected, std::string address)
  : shared_(shared),
    expected_(std::move(expected)),
    address_(std::move(address)),
    ws_(std::move(socket), tls),
    reader_(shared.opts.frame_bytes_max) {}

std::string link_connection::who() const {
  return is_known() ? node() + " at " + address_ : address_;
}

void link_connection::start() {
  deadline_ms_ = shared_.now_ms + shared_.opts.handshake.count();
  error_code ignored;
  stream().socket().set_option(tcp::no_delay{true}, ignored);
  auto* tls = stream().tls();
  if (!tls) {
    on_tls({});
    return;
  }
  tls->async_handshake(dialled() ? asio::ssl::stream_base::client : asio::ssl::stream_base::server,
                       [self = shared_from_this()](error_code failure) { self->on_tls(failure); });
}

void link_connection::on_tls(const error_code& failure) {
  if (phase_ != phase::tls)
    return;
  phase_ = phase::upgrade;
  if (auto* tls = stream().tls()) {
    auto* ssl = tls->native_handle();
    if (failure) {
      const bool heard = failure.category() == asio::error::get_ssl_category();
      ended(heard ? link_end::refused : link_end::failed,
            who() + " " + explain_link_tls(failure, ssl));
      linger();
      return;
    }
    names_ = certificate_names(ssl);
    if (const auto wrong = carries(expected_); dialled() && !wrong.empty()) {
      ended(link_end::refused, who() + " " + wrong);
      drop();
      return;
    }
  }
  if (dialled())
    ask();
  else
    read_request();
}

/// Empty: the peer's certificate carries this name, or there is no TLS.
std::string link_connection::carries(const std::string& node) const {
  const bool found = std::find(names_.begin(), names_.end(), node) != names_.end();
  if (found || !ws_.next_layer().has_tls())
    return {};
  std::string named;
  for (const auto& name : names_)
    named += (named.empty() ? "" : ", ") + printable(name);
  return "presented a certificate for " + (named.empty() ? "nobody" : named.substr(0, 200)) +
         ", not for " + node + "; check the address, or issue one with the DNS name " + node;
}

void link_connection::ask() {
  ws_.set_option(decorator<websocket::request_type>(shared_.self));
  ws_.async_handshake(
    response_, address_, boost::beast::string_view{link_path.data(), link_path.size()},
    [self = shared_from_this()](error_code failure) { self->on_answer(failure); });
}

void link_connection::on_answer(const error_code& failure) {
  if (phase_ != phase::upgrade)
    return;
  auto* tls = stream().tls();
  if (failure == websocket::error::upgrade_declined) {
    const auto why = finder(response_)(link_refusal_header);
    const bool for_good = finder(response_)(link_for_good_header) == shared_.self.hello.node;
    if (why == duplicate_mark || (why == link_trial_passed && shared_.self.trial))
      ended(link_end::quietly, {});
    else if (!why.empty())
      ended(for_good ? link_end::removed : link_end::refused,
            who() + " refuses this node: " + printable(why));
    else
      ended(link_end::refused, who() + " answers with HTTP status " +
                                 std::to_string(response_.result_int()) +
                                 " and is no Holdfast node; check the address");
  } else if (failure && tls && failure.category() == asio::error::get_ssl_category()) {
    // With TLS 1.3 the client hears only now what the server thinks of its certificate.
    ended(link_end::refused, who() + " " + explain_link_tls(failure, tls->native_handle()));
  } else if (failure) {
    ended(link_end::failed, who() + " did not answer the upgrade: " + failure.message() +
                              (tls ? "" : " (does it have tls, unlike this node?)"));
  }
  if (failure) {
    drop();
    return;
  }
  link_verdict verdict{from_headers(finder(response_), peer_)};
  believed_ = verdict.refusal.empty();
  if (believed_)
    verdict = shared_.owner.judge(*this);
  await_welcome();
  if (!verdict.refusal.empty())
    end(link_end::refused,
        verdict.for_good ? link_close_for_good : uint16_t{websocket::close_code::policy_error},
        verdict.refusal);
  else if (shared_.self.hello.node < node() && !open())
    end(link_end::quietly, link_close_duplicate, {});
  else
    flush();
}

/// Beast's own reader would forget the size of headers already parsed, so the head is read whole.
void link_connection::read_request() {
  asio::async_read_until(
    stream(), asio::dynamic_buffer(head_, link_head_bytes_max), head_end{},
    [self = shared_from_this()](error_code failure, size_t) { self->on_request(failure); });
}

void link_connection::on_request(const error_code& failure) {
  if (phase_ != phase::upgrade)
    return;
  if (failure == asio::error::not_found) {
    answer(431, "headers too large");
    ended(link_end::refused, who() + " sent headers over " + std::to_string(link_head_bytes_max) +
                               " bytes; no Holdfast node does that");
    return;
  }
  auto* tls = stream().tls();
  if (failure) {  // also the alert of a client that did not like this node's certificate
    const bool alert = tls && failure.category() == asio::error::get_ssl_category() &&
                       failure != asio::ssl::error::stream_truncated;
    ended(alert ? link_end::refused : link_end::failed,
          who() + " " +
            (alert ? explain_link_tls(failure, tls->native_handle())
                   : "went away before its upgrade request"));
    drop();
    return;
  }
  constexpr char tls_handshake_record = 0x16;
  if (!tls && head_.front() == tls_handshake_record) {
    answer(400, "no TLS here");
    ended(link_end::refused,
          who() + " speaks TLS, but this node has none; configure tls for the node link here too");
    return;
  }
  beast_http::request_parser<beast_http::empty_body> parser;
  parser.header_limit(link_head_bytes_max);
  error_code malformed;
  const size_t used = parser.put(asio::buffer(head_), malformed);
  const auto& request = parser.get();
  if (malformed || !parser.is_header_done() || used != head_.size()) {
    answer(400, "malformed request");
    ended(link_end::refused, who() + " sent a malformed HTTP request; no Holdfast node does that");
  } else if (request.target() != boost::beast::string_view{link_path.data(), link_path.size()}) {
    answer(404, "no such path");
    ended(link_end::refused,
          who() + " asked for another path; this port is only for the node link");
  } else if (!websocket::is_upgrade(request)) {
    answer(426, "not a WebSocket upgrade");
    ended(link_end::refused, who() + " sent plain HTTP; this port is only for the node link");
  } else {
    judge_request(request);
  }
}

void link_connection::judge_request(const http_request& request) {
  link_verdict verdict{from_headers(finder(request), peer_)};
  if (verdict.refusal.empty())
    verdict.refusal = carries(peer_.hello.node);
  believed_ = verdict.refusal.empty();
  const bool trial = believed_ && peer_.trial;
  if (believed_)
    verdict =
      trial ? link_verdict{mismatch_of(shared_.self, peer_, {})} : shared_.owner.judge(*this);
  if (!verdict.refusal.empty()) {
    answer(403, verdict.refusal, verdict.for_good);
    ended(link_end::refused, who() + ": this node refuses it: " + verdict.refusal);
  } else if (trial) {
    answer(200, std::string{link_trial_passed});
    ended(link_end::quietly, {});
  } else if (shared_.owner.is_duplicate(*this)) {
    answer(409, std::string{duplicate_mark});
    ended(link_end::quietly, {});
  } else {
    accept(request);
  }
}

void link_connection::accept(const http_request& request) {
  ws_.set_option(decorator<websocket::response_type>(shared_.self));
  ws_.async_accept(request, [self = shared_from_this()](error_code failure) {
    if (self->phase_ != phase::upgrade)
      return;
    if (failure) {
      self->ended(link_end::failed, self->who() + " broke off the upgrade: " + failure.message());
      self->drop();
      return;
    }
    self->await_welcome();
  });
}

/// Ends in HTTP; the reason is for the peer.
void link_connection::answer(unsigned status, const std::string& why_for_peer, bool for_good) {
  phase_ = phase::lingering;
  deadline_ms_ = shared_.now_ms + linger_ms;
  const auto why = printable(why_for_peer);
  head_ = "HTTP/1.1 " + std::string{link_status_line(status)} + "\r\n" +
          std::string{link_refusal_header} + ": " + why +
          (for_good ? "\r\n" + std::string{link_for_good_header} + ": " + node() : "") +
          "\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(why.size() + 1) +
          "\r\nConnection: close\r\n\r\n" + why + "\n";
  asio::async_write(stream(), asio::buffer(head_),
                    [self = shared_from_this()](error_code failure, size_t) {
                      if (failure)
                        self->drop();
                      else
                        self->linger();
                    });
}

/// Ends our side and drops what still comes: closing with something unread would reset the
/// connection and could take from the peer what it has not read yet.
void link_connection::linger() {
  if (phase_ == phase::gone)
    return;
  if (phase_ != phase::lingering)
    deadline_ms_ = shared_.now_ms + linger_ms;
  phase_ = phase::lingering;
  error_code failure;
  stream().socket().shutdown(tcp::socket::shutdown_send, failure);
  input_.resize(4 << 10);
  stream().socket().async_read_some(asio::buffer(input_),
                                    [self = shared_from_this()](error_code over, size_t) {
                                      if (over)
                                        self->drop();
                                      else
                                        self->linger();
                                    });
}

void link_connection::end(link_end how, uint16_t code, const std::string& why) {
  if (ended_ || phase_ == phase::gone)
    return;
  const bool upgraded = phase_ == phase::welcome || phase_ == phase::open;
  const bool refusal = how == link_end::refused;
  ended(how, refusal && phase_ != phase::open ? who() + ": this node refuses it: " + why : why);
  if (!upgraded) {
    drop();
    return;
  }
  phase_ = phase::closing;
  deadline_ms_ = shared_.now_ms + linger_ms;
  constexpr size_t reason_bytes_max = 123;  // RFC 6455, 5.5.1
  const auto reason = printable(why).substr(0, reason_bytes_max);
  ws_.async_close({static_cast<websocket::close_code>(code),
                   boost::beast::string_view{reason.data(), reason.size()}},
                  [self = shared_from_this()](error_code) { self->drop(); });
}

void link_connection::ended(link_end how, const std::string& why) {
  if (std::exchange(ended_, true))
    return;
  if (outbox)
    outbox->close();
  shared_.owner.on_ended(*this, how, why);
}

void link_connection::drop() {
  if (phase_ == phase::gone)
    return;
  phase_ = phase::gone;
  if (outbox)
    outbox->close();
  ended_ = true;
  close_socket(stream().socket(), false);
}

}  // namespace holdfast::net
