#include "runtime/net/server_connection.hpp"

#include <utility>

namespace holdfast::net {

namespace {

constexpr size_t read_bytes_max = 64 << 10;
constexpr size_t pipelined_bytes_max = 16 << 10;  // then reading waits for the answer
constexpr size_t body_progress_bytes = 64 << 10;  // what `body_timeout` asks for
constexpr size_t spare_parsers_max = 256;
constexpr std::chrono::milliseconds linger_timeout{2'000};

}  // namespace

server_connection::server_connection(connection_context& context, connection_id id,
                                     std::unique_ptr<transport> io, peer_address peer)
  : context_(context), id_(id), io_(std::move(io)), peer_(std::move(peer)) {
  context_.counters.open.add();
}

server_connection::~server_connection() { context_.counters.open.subtract(); }

void server_connection::start() {
  if (io_->open(*this)) {
    ++operations_;
    set_deadline(context_.opts.header_timeout);
    return;
  }
  on_open(io_status::ok);
}

void server_connection::start_refused() {
  if (io_->open(*this)) {  // no handshake for somebody who is sent away
    ++operations_;
    context_.counters.refused[static_cast<size_t>(refusal_reason::too_many_connections)].add();
    close(true);
    return;
  }
  phase_ = phase::handling;
  refuse(refusal_reason::too_many_connections);
}

void server_connection::drain() {
  if (phase_ == phase::idle || phase_ == phase::opening)
    close(false);
}

void server_connection::sweep() {
  if (deadline_ms_ == 0 || context_.now_ms < deadline_ms_)
    return;
  clear_deadline();
  switch (phase_) {
    case phase::head:
      refuse(refusal_reason::header_timeout);
      return;
    case phase::body:
      refuse(refusal_reason::body_timeout);
      return;
    case phase::lingering:
      close(true);
      return;
    case phase::opening:
    case phase::idle:
    case phase::handling:
    case phase::answering:
    case phase::streaming:
      context_.counters.timed_out.add();
      close(phase_ != phase::idle);
      return;
    case phase::closed:
      return;
  }
}

void server_connection::close(bool reset) {
  if (phase_ == phase::closed)
    return;
  phase_ = phase::closed;
  clear_deadline();
  io_->close(reset);
  release_parser();
  pipelined_.clear();
  if (const auto stream = std::exchange(stream_, nullptr)) {
    context_.counters.streams.subtract();
    stream->finish();
  }
  if (auto exchange = exchange_.lock())
    exchange->abort();
  give_up_if_finished();
}

void server_connection::operation_ended() {
  --operations_;
  give_up_if_finished();
}

void server_connection::give_up_if_finished() {
  if (finished() && !std::exchange(given_up_, true))
    context_.give_up(id_);
}

void server_connection::set_deadline(std::chrono::milliseconds from_now) {
  // `now_ms` may be a tick behind: a deadline must not come early.
  deadline_ms_ = context_.now_ms + context_.tick_ms + from_now.count();
}

void server_connection::on_open(io_status status) {
  if (operations_ > 0)
    operation_ended();
  if (phase_ == phase::closed)
    return;
  if (status != io_status::ok) {
    close(status != io_status::closed);
    return;
  }
  phase_ = phase::idle;
  set_deadline(context_.opts.idle_timeout);
  arm_read();
}

/// One read is always under way, also while the handler works: that is how a client that goes away
/// is noticed.
void server_connection::arm_read() {
  if (reading_ || peer_closed_ || phase_ == phase::closed)
    return;
  if (pipelined_.size() >= pipelined_bytes_max)
    return;
  const bool receiving = phase_ == phase::idle || phase_ == phase::head || phase_ == phase::body;
  reading_ = true;
  ++operations_;
  io_->read(receiving ? read_bytes_max : pipelined_bytes_max);
}

void server_connection::on_read(io_status status, std::string_view bytes) {
  reading_ = false;
  if (phase_ == phase::closed) {
    operation_ended();
    return;
  }
  --operations_;
  if (status == io_status::closed) {
    peer_closed();
    return;
  }
  if (status != io_status::ok) {
    close(true);
    return;
  }
  switch (phase_) {
    case phase::idle:
    case phase::head:
    case phase::body:
      consume(bytes);
      break;
    case phase::handling:
    case phase::answering:
    case phase::streaming:
      if (!refused_)
        pipelined_.append(bytes);
      break;
    case phase::opening:
    case phase::lingering:
    case phase::closed:
      break;
  }
  arm_read();
}

void server_connection::consume(std::string_view bytes) {
  if (!parser_) {
    if (context_.spare_parsers.empty()) {
      parser_.emplace(context_.opts);
    } else {
      parser_.emplace(std::move(context_.spare_parsers.back()));
      context_.spare_parsers.pop_back();
    }
  }
  const size_t used = parser_->feed(bytes);
  switch (parser_->state()) {
    case request_parser::progress::head:
      receive_head();
      break;
    case request_parser::progress::body:
      receive_body();
      break;
    case request_parser::progress::complete:
      pipelined_.assign(bytes.substr(used));
      dispatch();
      break;
    case request_parser::progress::refused:
      refuse(parser_->refusal());
      break;
  }
}

void server_connection::receive_head() {
  if (phase_ == phase::head || !parser_->started())
    return;
  phase_ = phase::head;
  set_deadline(context_.opts.header_timeout);
}

void server_connection::receive_body() {
  const size_t held = parser_->body_bytes();
  context_.buffered_bytes += held - body_counted_;
  body_counted_ = held;
  if (context_.buffered_bytes > context_.opts.buffered_bytes_max) {
    refuse(refusal_reason::buffers_full);
    return;
  }
  if (phase_ == phase::body && held < body_mark_)
    return;
  const bool first = std::exchange(phase_, phase::body) != phase::body;
  body_mark_ = held + body_progress_bytes;
  set_deadline(context_.opts.body_timeout);
  if (first && parser_->wants_continue()) {
    context_.scratch = "HTTP/1.1 100 Continue\r\n\r\n";
    send_scratch();
  }
}

void server_connection::release_parser() {
  context_.buffered_bytes -= std::exchange(body_counted_, 0);
  if (!parser_)
    return;
  parser_->reset();
  if (context_.spare_parsers.size() < spare_parsers_max)
    context_.spare_parsers.push_back(std::move(*parser_));
  parser_.reset();
}

void server_connection::dispatch() {
  keep_alive_ = parser_->keep_alive();
  http_1_1_ = parser_->http_1_1();
  is_head_ = parser_->is_head();
  auto request = parser_->take();
  release_parser();
  request.peer = peer_.address;
  request.peer_port = peer_.port;
  request.tls = io_->is_tls();
  phase_ = phase::handling;
  clear_deadline();
  ++request_;
  context_.counters.requests.add();
  auto exchange = std::make_shared<server_exchange>(context_.inbox, exchange_id{id_, request_},
                                                    context_.opts.stream_bytes_max);
  exchange_ = exchange;
  try {
    context_.on_request(std::move(request), responder{std::move(exchange)});
  } catch (...) {
    // The responder goes with the exception, unless somebody kept it: then he answers.
  }
}

/// The answer is written: on to the next request, or to the end.
void server_connection::request_done() {
  exchange_.reset();
  clear_deadline();
  if (peer_closed_) {
    close(false);
    return;
  }
  if (refused_ || !keep_alive_ || context_.draining) {
    // Closing with input unread would reset the connection and could take the answer with it.
    if (refused_ || !pipelined_.empty() || io_->is_tls())
      linger();
    else
      close(false);
    return;
  }
  phase_ = phase::idle;
  set_deadline(context_.opts.idle_timeout);
  if (!pipelined_.empty()) {
    const std::string input = std::exchange(pipelined_, {});
    consume(input);
  }
  arm_read();
}

void server_connection::linger() {
  phase_ = phase::lingering;
  pipelined_.clear();
  set_deadline(linger_timeout);
  if (io_->shut_down())
    ++operations_;
  arm_read();
}

void server_connection::on_shut_down() {
  close(false);
  operation_ended();
}

void server_connection::peer_closed() {
  peer_closed_ = true;
  switch (phase_) {
    case phase::handling:
      if (auto exchange = exchange_.lock())
        exchange->abort();
      return;
    case phase::answering:
      return;
    case phase::streaming:
      close(true);
      return;
    case phase::opening:
    case phase::idle:
    case phase::head:
    case phase::body:
    case phase::lingering:
    case phase::closed:
      close(false);
      return;
  }
}

}  // namespace holdfast::net
