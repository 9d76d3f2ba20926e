#include "runtime/net/link_hub.hpp"

#include <openssl/ssl.h>
#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <chrono>

#include "runtime/net/link_certificates.hpp"
#include "runtime/net/tcp_transport.hpp"
#include "runtime/net/tls_context.hpp"

namespace holdfast::net {

namespace {

constexpr int link_backlog = 128;
constexpr std::chrono::milliseconds link_accept_pause{50};  // when out of descriptors

int64_t link_now_ms() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

/// Often enough for the shortest wait, seldom enough to cost nothing.
int64_t link_tick(const peer_link::options& opts) {
  const auto shortest = std::min({opts.connect, opts.handshake, opts.ping, opts.silent_max});
  return std::clamp<int64_t>(shortest.count() / 8, 5, 50);
}

link_failure link_classify(const error_code& failure) {
  if (failure == asio::error::address_in_use)
    return link_failure::in_use;
  if (failure == asio::error::access_denied || failure == asio::error::no_permission)
    return link_failure::not_permitted;
  return link_failure::system;
}

}  // namespace

link_hub::link_hub(const peer_link::options& opts, peer_link::events on, link_directory& directory)
  : opts_(opts),
    on_(std::move(on)),
    directory_(directory),
    work_(io_.get_executor()),
    acceptor_(io_),
    sweep_timer_(io_),
    accept_pause_(io_),
    chance_(std::random_device{}()),
    tick_ms_(link_tick(opts)),
    shared_{opts, {opts.self, random_run(), opts.unread_bytes_max}, *this, link_now_ms()} {}

link_hub::~link_hub() = default;

link_status link_hub::listen() {
  error_code failure;
  const auto address = asio::ip::make_address(opts_.address, failure);
  if (failure)
    return {link_failure::bad_address, "not a numeric address: " + opts_.address};
  if (!opts_.tls && !address.is_loopback())
    return {link_failure::bad_options,
            "the node link on " + opts_.address +
              " needs tls; without it only a loopback address is allowed"};
  if (auto loaded = load_tls(tls_); !loaded)
    return loaded;
  const tcp::endpoint at{address, opts_.port};
  acceptor_.open(at.protocol(), failure);
  if (!failure)
    acceptor_.set_option(asio::socket_base::reuse_address{true}, failure);
  if (!failure)
    acceptor_.bind(at, failure);
  if (!failure)
    acceptor_.listen(link_backlog, failure);
  if (failure)
    return {link_classify(failure),
            opts_.address + ":" + std::to_string(opts_.port) + ": " + failure.message()};
  port_ = acceptor_.local_endpoint(failure).port();
  return {};
}

link_status link_hub::load_tls(std::shared_ptr<tls_sides>& out) {
  if (!opts_.tls)
    return {};
  auto loaded = std::make_shared<tls_sides>();
  for (auto* context : {&loaded->server, &loaded->client})
    if (const auto wrong = load_link_tls(*context, *opts_.tls); !wrong.empty())
      return {link_failure::tls, wrong};
  expires_s_ = end_of(SSL_CTX_get0_certificate(loaded->server.native_handle()));
  out = std::move(loaded);
  return {};
}

link_status link_hub::reload_tls() {
  std::shared_ptr<tls_sides> loaded;
  if (auto status = load_tls(loaded); !status)
    return status;
  asio::post(io_, [this, loaded = std::move(loaded)] { tls_ = loaded; });
  return {};
}

void link_hub::run() {
  accept();
  sweep_due_ms_ = link_now_ms();
  sweep();
  io_.run();
}

void link_hub::stop() {
  asio::post(io_, [this] {
    stopping_ = true;
    error_code ignored;
    acceptor_.close(ignored);
    sweep_timer_.cancel();
    accept_pause_.cancel();
    for (auto& [node, to] : targets_)
      if (to.dial)
        to.dial->cancel();
    for (auto& connection : connections_)
      connection->drop();
    directory_.close_all();
    work_.reset();
  });
}

void link_hub::accept() {
  acceptor_.async_accept(io_, accepted_from_, [this](error_code failure, tcp_socket socket) {
    on_accept(failure, std::move(socket));
  });
}

void link_hub::on_accept(const error_code& failure, tcp_socket socket) {
  if (stopping_)
    return;
  if (!failure) {
    make_room();
    adopt(std::move(socket), false, {}, accepted_from_.address().to_string())->start();
    accept();
    return;
  }
  accept_pause_.expires_after(link_accept_pause);
  accept_pause_.async_wait([this](error_code cancelled) {
    if (!cancelled && !stopping_)
      accept();
  });
}

/// Whoever floods the port pushes out its own connections first: a handshake that is meant takes
/// milliseconds.
void link_hub::make_room() {
  std::erase_if(connections_, [](const auto& c) { return c->is_gone(); });
  const auto waits = [](const auto& c) { return !c->dialled() && !c->is_open(); };
  const auto waiting = std::count_if(connections_.begin(), connections_.end(), waits);
  if (static_cast<size_t>(waiting) < opts_.connections_max)
    return;
  const auto oldest = std::find_if(connections_.begin(), connections_.end(), waits);
  if (oldest == connections_.end())
    return;
  (*oldest)->drop();
  connections_.erase(oldest);
}

link_hub::connection_ptr link_hub::adopt(tcp_socket socket, bool dialled, const std::string& node,
                                         const std::string& address) {
  auto* context = !tls_ ? nullptr : dialled ? &tls_->client : &tls_->server;
  connections_.push_back(
    std::make_shared<link_connection>(shared_, std::move(socket), context, node, address));
  return connections_.back();
}

void link_hub::set_peers(std::map<std::string, std::string> peers) {
  std::lock_guard lock{mutex_};
  if (!std::exchange(peers_wanted_, std::move(peers)))
    asio::post(io_, [this] { take_peers(); });
}

void link_hub::take_peers() {
  std::map<std::string, std::string> wanted;
  {
    std::lock_guard lock{mutex_};
    if (peers_wanted_)
      wanted = std::move(*peers_wanted_);
    peers_wanted_.reset();
  }
  if (stopping_)
    return;
  shared_.now_ms = link_now_ms();
  wanted.erase(opts_.self.node);
  std::vector<std::string> gone;
  for (const auto& [node, to] : targets_)
    if (!wanted.contains(node))
      gone.push_back(node);
  for (const auto& node : gone)
    remove_target(node);
  for (const auto& [node, address] : wanted) {
    auto& to = targets_[node];
    if (to.address == address)
      continue;
    to.address = address;
    to.dial_at_ms = to.failures = 0;
    abandon_attempt(to);
    directory_.counters(node);
    if (!is_node_name(node) || !split_address(address, to.host, to.port)) {
      to.host.clear();
      report(node, "peer " + printable(node) + " has the address " + printable(address) +
                     ", which is not host:port, or a bad name; correct the configuration");
    } else if (!sessions_.contains(node)) {
      dial(node, to);
    }
  }
}

void link_hub::remove_target(const std::string& node) {
  const auto found = targets_.find(node);
  abandon_attempt(found->second);
  targets_.erase(found);
  if (const auto session = sessions_.find(node); session != sessions_.end()) {
    const auto connection = session->second;
    connection->end(link_end::failed, link_close_dropped,
                    node + " is not a peer of " + opts_.self.node + " any more");
  }
  forget_if_unused(node);
}

void link_hub::dial(const std::string& node, target& to) {
  auto attempt =
    std::make_shared<link_dial>(io_, shared_.now_ms + opts_.connect.count(), !opts_.tls,
                                [this, node](tcp_socket* socket, const std::string& failure) {
                                  on_dialled(node, socket, failure);
                                });
  to.dial = attempt;
  attempt->start(names_, to.host, to.port, to.turn++);
}

void link_hub::abandon_attempt(target& to) {
  if (const auto attempt = std::exchange(to.dial, nullptr))
    attempt->cancel();
  if (const auto connection = std::exchange(to.trying, nullptr))
    connection->end(link_end::quietly, link_close_duplicate, {});
}

void link_hub::on_dialled(const std::string& node, tcp_socket* socket, const std::string& failure) {
  const auto found = targets_.find(node);
  if (stopping_ || found == targets_.end())
    return;
  auto& to = found->second;
  const auto attempt = std::exchange(to.dial, nullptr);  // `socket` is in it
  if (!socket) {
    attempt_failed(node, link_end::failed, node + " at " + to.address + ": " + failure);
    return;
  }
  to.trying = adopt(std::move(*socket), true, node, to.address);
  const auto trying = to.trying;
  trying->start();
}

int64_t link_hub::backoff(unsigned failures) {
  constexpr unsigned doublings_max = 16;
  const int64_t full = std::min<int64_t>(
    opts_.backoff_max.count(), opts_.backoff_min.count() << std::min(failures, doublings_max));
  return std::uniform_int_distribution<int64_t>{full / 2, full}(chance_);
}

void link_hub::attempt_failed(const std::string& node, link_end how, const std::string& why) {
  const auto found = targets_.find(node);
  if (found == targets_.end())
    return;
  auto& to = found->second;
  to.trying = nullptr;
  to.dial_at_ms = link_now_ms() + backoff(to.failures);
  if (how == link_end::quietly)
    return;
  ++to.failures;
  directory_.counters(node)->set_last_failure(why);
}

/// Looks at every deadline, and dials what is due.
void link_hub::sweep() {
  shared_.now_ms = link_now_ms();
  const int64_t late = shared_.now_ms - sweep_due_ms_;
  // A thread that did not run could not hear either: that is not the peers' silence.
  const int64_t slept = late > 4 * tick_ms_ ? late : 0;
  for (size_t i = 0; i < connections_.size(); ++i) {
    const auto connection = connections_[i];
    connection->sweep(slept);
  }
  std::erase_if(connections_, [](const auto& c) { return c->is_gone(); });
  for (auto& [node, to] : targets_) {
    if (const auto attempt = to.dial)
      attempt->sweep(shared_.now_ms);
    const bool idle = !to.dial && !to.trying && !to.host.empty() && !sessions_.contains(node);
    if (idle && shared_.now_ms >= to.dial_at_ms)
      dial(node, to);
  }
  if (!stopping_)
    schedule_sweep(shared_.now_ms + tick_ms_);
}

void link_hub::schedule_sweep(int64_t expected_ms) {
  sweep_due_ms_ = expected_ms;
  sweep_timer_.expires_after(std::chrono::milliseconds{tick_ms_});
  sweep_timer_.async_wait([this](error_code cancelled) {
    if (!cancelled && !stopping_)
      sweep();
  });
}

}  // namespace holdfast::net
