#include "runtime/net/http_server.hpp"

#include <sys/resource.h>
#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "runtime/net/server_exchange.hpp"
#include "runtime/net/server_worker.hpp"
#include "runtime/net/tls_context.hpp"

namespace holdfast::net {

namespace {

constexpr int listen_backlog = 4'096;
constexpr std::chrono::milliseconds accept_pause{50};  // when the process is out of descriptors

/// Raises the soft limit of open files to the hard one; returns what is allowed then.
size_t raise_open_files() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return 1'024;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return 1'024;
  return static_cast<size_t>(limit.rlim_cur);
}

listen_failure classify(const error_code& failure) {
  if (failure == asio::error::address_in_use)
    return listen_failure::in_use;
  if (failure == asio::error::access_denied || failure == asio::error::no_permission)
    return listen_failure::not_permitted;
  return listen_failure::system;
}

}  // namespace

std::string_view name(refusal_reason reason) noexcept {
  switch (reason) {
    case refusal_reason::malformed:
      return "malformed";
    case refusal_reason::header_timeout:
      return "header_timeout";
    case refusal_reason::body_timeout:
      return "body_timeout";
    case refusal_reason::body_too_large:
      return "body_too_large";
    case refusal_reason::target_too_long:
      return "target_too_long";
    case refusal_reason::expectation_failed:
      return "expectation_failed";
    case refusal_reason::header_too_large:
      return "header_too_large";
    case refusal_reason::abandoned:
      return "abandoned";
    case refusal_reason::bad_response:
      return "bad_response";
    case refusal_reason::transfer_coding:
      return "transfer_coding";
    case refusal_reason::too_many_connections:
      return "too_many_connections";
    case refusal_reason::buffers_full:
      return "buffers_full";
    case refusal_reason::unsupported_version:
      return "unsupported_version";
  }
  return "unknown";
}

unsigned status_of(refusal_reason reason) noexcept {
  switch (reason) {
    case refusal_reason::malformed:
      return 400;
    case refusal_reason::header_timeout:
      return 408;
    case refusal_reason::body_timeout:
      return 408;
    case refusal_reason::body_too_large:
      return 413;
    case refusal_reason::target_too_long:
      return 414;
    case refusal_reason::expectation_failed:
      return 417;
    case refusal_reason::header_too_large:
      return 431;
    case refusal_reason::abandoned:
      return 500;
    case refusal_reason::bad_response:
      return 500;
    case refusal_reason::transfer_coding:
      return 501;
    case refusal_reason::too_many_connections:
      return 503;
    case refusal_reason::buffers_full:
      return 503;
    case refusal_reason::unsupported_version:
      return 505;
  }
  return 500;
}

struct http_server::impl {
  explicit impl(options o) : opts(std::move(o)) {}

  listen_status listen();
  listen_status load_tls();
  void accept();
  void accepted(error_code failure, tcp_socket socket, size_t worker);
  size_t open() const;
  void stop();

  options opts;
  handler on_request;
  mutable std::mutex tls_mutex;
  std::shared_ptr<tls_context> tls;
  std::vector<std::unique_ptr<server_worker>> workers;
  std::vector<std::thread> threads;
  std::optional<tcp_acceptor> acceptor;  // on the first worker's thread once started
  std::optional<steady_timer> pause;
  tcp::endpoint peer;
  size_t next_worker = 0;
  uint16_t port = 0;
  bool started = false;

  std::mutex mutex;
  std::condition_variable emptied;
};

listen_status http_server::impl::load_tls() {
  if (!opts.tls)
    return {};
  std::string why;
  auto loaded = open_tls(opts.tls->certificate_chain, opts.tls->private_key, why);
  if (!loaded)
    return {listen_failure::tls, "certificate or key: " + why};
  const std::lock_guard lock{tls_mutex};
  tls = std::move(loaded);
  return {};
}

listen_status http_server::impl::listen() {
  error_code failure;
  const auto address = asio::ip::make_address(opts.address, failure);
  if (failure)
    return {listen_failure::bad_address, "not a numeric address: " + opts.address};
  const tcp::endpoint at{address, opts.port};
  acceptor.emplace(workers.front()->context());
  acceptor->open(at.protocol(), failure);
  if (!failure)
    acceptor->set_option(asio::socket_base::reuse_address{true}, failure);
  if (!failure)
    acceptor->bind(at, failure);
  if (!failure)
    acceptor->listen(listen_backlog, failure);
  if (failure)
    return {classify(failure),
            opts.address + ":" + std::to_string(opts.port) + ": " + failure.message()};
  port = acceptor->local_endpoint(failure).port();
  return {};
}

size_t http_server::impl::open() const {
  size_t sum = 0;
  for (const auto& worker : workers)
    sum += worker->counters().open.get();
  return sum;
}

void http_server::impl::accept() {
  const size_t worker = next_worker++ % workers.size();
  acceptor->async_accept(workers[worker]->context(), peer,
                         [this, worker](error_code failure, tcp_socket socket) {
                           accepted(failure, std::move(socket), worker);
                         });
}

void http_server::impl::accepted(error_code failure, tcp_socket socket, size_t worker) {
  if (!acceptor->is_open())
    return;  // draining or stopping
  if (!failure) {
    workers[worker]->adopt(std::move(socket), peer, open() >= opts.connections_max);
    accept();
    return;
  }
  // Out of descriptors or memory: the connection stays in the backlog, so trying at once would
  // spin.
  pause->expires_after(accept_pause);
  pause->async_wait([this](error_code cancelled) {
    if (!cancelled && acceptor->is_open())
      accept();
  });
}

void http_server::impl::stop() {
  if (!started)
    return;
  started = false;
  asio::post(workers.front()->context(), [this] {
    error_code ignored;
    acceptor->close(ignored);
    pause->cancel();
  });
  for (auto& worker : workers)
    worker->stop();
  for (auto& thread : threads)
    thread.join();
}

http_server::http_server(options opts) : impl_(std::make_unique<impl>(std::move(opts))) {}

http_server::~http_server() { impl_->stop(); }

listen_status http_server::start(handler on_request) {
  auto& s = *impl_;
  s.on_request = std::move(on_request);
  const size_t files = raise_open_files();
  s.opts.connections_max = std::min(s.opts.connections_max, files - files / 4);
  if (auto status = s.load_tls(); !status)
    return status;
  for (unsigned i = 0; i < std::max(1u, s.opts.threads); ++i)
    s.workers.push_back(std::make_unique<server_worker>(s.opts, s.on_request, s.tls, [&s] {
      std::lock_guard lock{s.mutex};
      s.emptied.notify_all();
    }));
  if (auto status = s.listen(); !status)
    return status;
  s.pause.emplace(s.workers.front()->context());
  s.accept();
  s.started = true;
  for (auto& worker : s.workers)
    s.threads.emplace_back([&worker] { worker->run(); });
  return {};
}

listen_status http_server::reload_tls() {
  auto& s = *impl_;
  if (auto loaded = s.load_tls(); !loaded)
    return loaded;
  const std::lock_guard lock{s.tls_mutex};
  for (auto& worker : s.workers)
    worker->use(s.tls);
  return {};
}

std::optional<int64_t> http_server::certificate_expires_s() const {
  const std::lock_guard lock{impl_->tls_mutex};
  return impl_->tls ? std::optional{impl_->tls->expires_s} : std::nullopt;
}

uint16_t http_server::port() const noexcept { return impl_->port; }

void http_server::drain() {
  auto& s = *impl_;
  if (!s.started)
    return;
  asio::post(s.workers.front()->context(), [&s] {
    error_code ignored;
    s.acceptor->close(ignored);
    s.pause->cancel();
  });
  for (auto& worker : s.workers)
    worker->drain();
}

bool http_server::wait_drained(std::chrono::milliseconds limit) {
  auto& s = *impl_;
  std::unique_lock lock{s.mutex};
  return s.emptied.wait_for(lock, limit, [&s] { return s.open() == 0; });
}

void http_server::stop() { impl_->stop(); }

void http_server::post_batch(std::vector<std::pair<responder, http_response>> replies) {
  std::map<reply_inbox*, std::vector<inbox_command>> by_inbox;
  for (auto& [to, response] : replies) {
    auto* exchange = dynamic_cast<server_exchange*>(to.exchange().get());
    if (!exchange)
      to.send(std::move(response));
    else if (exchange->claim())
      by_inbox[exchange->inbox().get()].emplace_back(
        send_reply{exchange->id(), std::move(response)});
  }
  for (auto& [inbox, commands] : by_inbox)
    inbox->push_all(commands);
}

server_counters http_server::counters() const {
  server_counters sum;
  for (const auto& worker : impl_->workers) {
    const auto& c = worker->counters();
    sum.accepted += c.accepted.get();
    sum.open += c.open.get();
    sum.streams += c.streams.get();
    sum.requests += c.requests.get();
    sum.timed_out += c.timed_out.get();
    sum.streams_overflowed += c.streams_overflowed.get();
    for (size_t i = 0; i < refusal_reason_count; ++i)
      sum.refused[i] += c.refused[i].get();
  }
  return sum;
}

}  // namespace holdfast::net
