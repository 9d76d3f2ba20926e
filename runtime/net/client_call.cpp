#include "runtime/net/client_call.hpp"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <utility>

#include "runtime/net/request_head.hpp"
#include "runtime/net/tcp_transport.hpp"
#include "runtime/net/tls_transport.hpp"

namespace holdfast::net {

namespace {

using namespace std::chrono_literals;

tcp::endpoint to_endpoint(const ip_address& address, uint16_t port) {
  if (address.v6)
    return {asio::ip::address_v6{address.bytes}, port};
  asio::ip::address_v4::bytes_type bytes;
  std::copy_n(address.bytes.begin(), bytes.size(), bytes.begin());
  return {asio::ip::address_v4{bytes}, port};
}

const egress_policy& policy_of(const client_request& request) {
  static const egress_policy global_only;
  return request.egress ? *request.egress : global_only;
}

}  // namespace

client_call::client_call(client_core& core, client_request request, client_callbacks callbacks)
  : core_(core), request_(std::move(request)), callbacks_(std::move(callbacks)) {}

void client_call::start() {
  core_.calls.emplace(this, shared_from_this());
  total_deadline_ = clock::now() + request_.total_timeout;
  deadline_ = total_deadline_;
  deadline_failure_ = client_failure::timeout_total;
  if (core_.stopping)
    return fail(client_failure::cancelled, "the client is stopping");
  url_failure why{};
  auto parsed = parse_url(request_.url, &why);
  if (!parsed)
    return fail(client_failure::bad_url, std::string{name(why)});
  url_ = std::move(*parsed);
  if (auto defect = request_defect(request_); !defect.empty())
    return fail(client_failure::bad_request, std::move(defect));
  reuse_or_connect();
}

void client_call::cancel() {
  if (phase_ != phase::done)
    fail(client_failure::cancelled, "cancelled");
}

void client_call::refuse_as_overloaded() {
  fail(client_failure::overloaded, "too many calls at the same time");
}

void client_call::set_deadline(client_failure failure, std::chrono::milliseconds from_now) {
  deadline_ = clock::now() + from_now;
  deadline_failure_ = failure;
}

void client_call::check_deadlines(clock::time_point now) {
  if (phase_ == phase::done)
    return;
  if (now >= total_deadline_)
    return fail(client_failure::timeout_total, "no complete response in time from " + place());
  if (now < deadline_)
    return;
  if (phase_ == phase::connecting && now < connect_deadline_) {
    connect_failure_ = "timed out";
    return connect_next();
  }
  fail(deadline_failure_, std::string{name(deadline_failure_)} + " at " + place());
}

std::string client_call::place() const {
  if (connection_)
    return url_.origin() + " (" + connection_->peer().to_string() + ")";
  return url_.origin();
}

// --- a connection ---------------------------------------------------------------

void client_call::reuse_or_connect() {
  const auto idle_max =
    request_.replayable ? core_.opts.idle_expiry : core_.opts.idle_unreplayable_max;
  connection_ =
    core_.pool.take(url_.origin(), clock::now(), idle_max, [this](const client_connection& c) {
      return policy_of(request_).permits(url_.host, url_.port, c.peer());
    });
  if (!connection_)
    return connect_anew();
  reused_ = true;
  ++core_.reused;
  connection_->use(*this);
  exchange();
}

void client_call::connect_anew() {
  reused_ = false;
  set_deadline(client_failure::timeout_connect, request_.connect_timeout);
  connect_deadline_ = deadline_;
  phase_ = phase::resolving;
  if (const auto literal = ip_address::parse(url_.host))
    return resolved({{*literal}, {}});
  core_.resolver.resolve(url_.host, wanted_,
                         [&core = core_, call = weak_from_this()](name_resolver::answer&& answer) {
                           asio::post(core.io, [call, answer = std::move(answer)]() mutable {
                             if (const auto self = call.lock())
                               self->resolved(std::move(answer));
                           });
                         });
}

/// The addresses are judged here, and the connection goes to what was judged: the name is not
/// looked up again, so that it cannot come to mean something else in between.
void client_call::resolved(name_resolver::answer&& answer) {
  if (phase_ != phase::resolving)
    return;
  if (answer.addresses.empty())
    return fail(client_failure::resolve, url_.host + ": " + answer.failure);
  addresses_ = std::move(answer.addresses);
  const auto refused = addresses_.front();
  std::erase_if(addresses_, [this](const ip_address& a) {
    return !policy_of(request_).permits(url_.host, url_.port, a);
  });
  if (addresses_.empty())
    return fail(client_failure::refused_address, url_.origin() + ": " + refused.to_string() +
                                                   " is " + std::string{name(classify(refused))} +
                                                   " and not allowed");
  phase_ = phase::connecting;
  address_next_ = 0;
  connect_next();
}

/// Tries the next address; each gets an equal share of the time that is left.
void client_call::connect_next() {
  socket_.reset();
  if (address_next_ == addresses_.size())
    return fail(client_failure::connect, url_.origin() + ": " + connect_failure_);
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
    std::max(connect_deadline_ - clock::now(), clock::duration::zero()));
  set_deadline(client_failure::timeout_connect,
               left / static_cast<int>(addresses_.size() - address_next_));
  const auto& address = addresses_[address_next_++];
  socket_.emplace(core_.io);
  socket_->async_connect(to_endpoint(address, url_.port),
                         [self = shared_from_this(), attempt = ++attempt_](error_code failure) {
                           self->connected(attempt, failure);
                         });
}

void client_call::connected(unsigned attempt, error_code failure) {
  if (phase_ != phase::connecting || attempt != attempt_)
    return;
  if (failure) {
    connect_failure_ = addresses_[address_next_ - 1].to_string() + ": " + failure.message();
    return connect_next();
  }
  auto io = make_transport();
  if (!io)
    return fail(client_failure::tls, url_.host + " is no name for TLS");
  ++core_.opened;
  connection_ = std::make_shared<client_connection>(std::move(io), addresses_[address_next_ - 1]);
  phase_ = phase::handshake;
  deadline_ = connect_deadline_;
  connection_->open(*this);
}

std::unique_ptr<transport> client_call::make_transport() {
  auto socket = std::move(*socket_);
  socket_.reset();
  if (url_.scheme == "https")
    return tls_transport::for_client(std::move(socket), core_.tls, url_.host);
  return std::make_unique<tcp_transport>(std::move(socket), std::span{core_.read_buffer});
}

void client_call::on_opened(io_status status) {
  const auto self = shared_from_this();
  if (status != io_status::ok)
    return fail(client_failure::tls, place() + ": " + connection_->open_failure());
  exchange();
}

// --- request and response -------------------------------------------------------

void client_call::exchange() {
  phase_ = phase::exchange;
  lost_.reset();
  parser_.emplace(request_.method == "HEAD");
  set_deadline(client_failure::timeout_idle, request_.idle_timeout);
  connection_->send(request_head(request_, url_, core_.opts.user_agent) + request_.body);
}

void client_call::on_progress() {
  const auto self = shared_from_this();
  if (lost_)
    return connection_lost(*lost_);
  set_deadline(client_failure::timeout_idle, request_.idle_timeout);
}

void client_call::on_sent(io_status status) {
  const auto self = shared_from_this();
  if (lost_)
    return connection_lost(*lost_);
  // When writing fails an answer may still be there to read (a refusal of a large body), and
  // reading tells why otherwise.
  if (status == io_status::ok && !parser_->any_byte_seen())
    set_deadline(client_failure::timeout_first_byte, request_.first_byte_timeout);
}

void client_call::on_received(io_status status, std::string_view bytes) {
  const auto self = shared_from_this();
  if (phase_ != phase::exchange)  // words before the request was sent
    return fail(client_failure::malformed, place() + " spoke out of turn");
  if (status != io_status::ok)
    return connection_lost(status);
  set_deadline(client_failure::timeout_idle, request_.idle_timeout);
  input_left_ = parser_->feed(bytes) < bytes.size();
  process();
}

void client_call::process() {
  const auto state = parser_->state();
  if (state == response_parser::progress::malformed)
    return fail(client_failure::malformed, place() + " did not answer in HTTP");
  if (state == response_parser::progress::head_too_large)
    return fail(client_failure::too_large, "response head of " + place());
  if (state == response_parser::progress::head)
    return;
  if (!std::exchange(head_told_, true) && callbacks_.on_head)
    callbacks_.on_head(parser_->head());
  if (!deliver_body())
    return;
  if (state == response_parser::progress::complete)
    finish();
}

/// Takes what has arrived of the body. False when that ended the call.
bool client_call::deliver_body() {
  auto piece = parser_->take_body();
  const size_t room = request_.response_bytes_max - body_bytes_;
  const bool too_large = piece.size() > room;
  if (too_large && !request_.truncate) {
    fail(client_failure::too_large, "response body of " + place());
    return false;
  }
  piece.resize(std::min(piece.size(), room));
  body_bytes_ += piece.size();
  if (!request_.stream)
    result_.body.append(piece);
  else if (!piece.empty() && callbacks_.on_body_piece)
    callbacks_.on_body_piece(piece);
  if (too_large) {
    result_.truncated = true;
    finish();
  }
  return !too_large;
}

void client_call::connection_lost(io_status status) {
  if (status == io_status::closed) {
    parser_->end_of_input();
    if (parser_->state() == response_parser::progress::complete)
      return process();
  }
  if (parser_->any_byte_seen())
    return fail(client_failure::reset, place() + " closed within the response");
  if (!connection_->sent_any_is_final()) {
    lost_ = status;  // the write reports in a moment, and all depends on what it says
    return;
  }
  const bool sent_any = connection_->sent_any();
  if (reused_ && !replayed_ && (request_.replayable || !sent_any)) {
    replayed_ = true;
    ++core_.replays;
    drop_connection();
    return connect_anew();
  }
  fail(sent_any ? client_failure::reset : client_failure::sent_nothing,
       place() + " closed without a response");
}

// --- the end --------------------------------------------------------------------

void client_call::fail(client_failure failure, std::string detail) {
  result_.failure = failure;
  result_.detail = std::move(detail);
  finish();
}

bool client_call::may_reuse() const {
  return result_.failure == client_failure::none && !result_.truncated && !input_left_ &&
         parser_->keep_alive() && !connection_->is_sending();
}

void client_call::drop_connection() {
  result_.request_bytes_sent = result_.request_bytes_sent || connection_->sent_any();
  connection_->close();
  connection_.reset();
}

void client_call::finish() {
  if (std::exchange(phase_, phase::done) == phase::done)
    return;
  *wanted_ = false;
  socket_.reset();
  if (parser_ && head_told_)
    result_.head = parser_->take_head();
  if (connection_ && may_reuse()) {
    result_.request_bytes_sent = true;
    core_.pool.put(url_.origin(), std::exchange(connection_, nullptr), clock::now());
  } else if (connection_) {
    drop_connection();
  }
  const auto self = shared_from_this();
  core_.calls.erase(this);
  --core_.active;
  const auto done = std::move(callbacks_.on_done);
  callbacks_ = {};
  if (done)
    done(std::move(result_));
}

}  // namespace holdfast::net
