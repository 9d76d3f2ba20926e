#include "runtime/net/http_client.hpp"

#include <openssl/ssl.h>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <stdexcept>
#include <thread>

#include "runtime/net/client_call.hpp"

namespace holdfast::net {

namespace {

constexpr std::chrono::milliseconds sweep_interval{20};  // how late a timeout may come

asio::ssl::context make_tls(const http_client::options& opts) {
  asio::ssl::context tls{asio::ssl::context::tls_client};
  SSL_CTX_set_min_proto_version(tls.native_handle(), TLS1_2_VERSION);
  static constexpr unsigned char http_1_1[] = "\x08http/1.1";
  SSL_CTX_set_alpn_protos(tls.native_handle(), http_1_1, sizeof http_1_1 - 1);
  tls.set_verify_mode(asio::ssl::verify_peer);
  if (opts.ca_system)
    tls.set_default_verify_paths();
  if (!opts.ca_file.empty()) {
    error_code failure;
    tls.load_verify_file(opts.ca_file, failure);
    if (failure)
      throw std::runtime_error("CA file " + opts.ca_file + ": " + failure.message());
  }
  return tls;
}

}  // namespace

std::string_view name(client_failure failure) noexcept {
  switch (failure) {
    case client_failure::none:
      return "none";
    case client_failure::bad_url:
      return "bad_url";
    case client_failure::bad_request:
      return "bad_request";
    case client_failure::overloaded:
      return "overloaded";
    case client_failure::resolve:
      return "resolve";
    case client_failure::refused_address:
      return "refused_address";
    case client_failure::connect:
      return "connect";
    case client_failure::tls:
      return "tls";
    case client_failure::sent_nothing:
      return "sent_nothing";
    case client_failure::reset:
      return "reset";
    case client_failure::timeout_connect:
      return "timeout_connect";
    case client_failure::timeout_first_byte:
      return "timeout_first_byte";
    case client_failure::timeout_idle:
      return "timeout_idle";
    case client_failure::timeout_total:
      return "timeout_total";
    case client_failure::too_large:
      return "too_large";
    case client_failure::malformed:
      return "malformed";
    case client_failure::cancelled:
      return "cancelled";
  }
  return "unknown";
}

std::string_view client_response_head::header(std::string_view wanted) const noexcept {
  for (const auto& [key, value] : headers)
    if (equals_ignoring_case(key, wanted))
      return value;
  return {};
}

struct http_client::impl {
  explicit impl(const options& opts) : core(opts, make_tls(opts)), sweep_timer(core.io) {}

  void sweep();
  void shut_down();

  client_core core;
  asio::executor_work_guard<io_executor> work{core.io.get_executor()};
  steady_timer sweep_timer;
  bool sweeping = false;
  std::thread thread;
};

/// Runs as long as there is something whose time may run out.
void http_client::impl::sweep() {
  const auto now = std::chrono::steady_clock::now();
  core.pool.expire(now);
  std::vector<std::shared_ptr<client_call>> calls;  // a call that ends leaves the map
  calls.reserve(core.calls.size());
  for (const auto& [key, call] : core.calls)
    calls.push_back(call);
  for (const auto& call : calls)
    call->check_deadlines(now);
  sweeping = !core.stopping && !(core.calls.empty() && core.pool.empty());
  if (!sweeping)
    return;
  sweep_timer.expires_after(sweep_interval);
  sweep_timer.async_wait([this](error_code cancelled) {
    if (!cancelled)
      sweep();
  });
}

void http_client::impl::shut_down() {
  core.stopping = true;
  sweep_timer.cancel();
  std::vector<std::shared_ptr<client_call>> calls;
  for (const auto& [key, call] : core.calls)
    calls.push_back(call);
  for (const auto& call : calls)
    call->cancel();
  core.pool.clear();
  work.reset();
}

struct call_handle::state {
  std::weak_ptr<http_client::impl> client;
  std::weak_ptr<client_call> call;
};

void call_handle::cancel() const {
  const auto client = state_ ? state_->client.lock() : nullptr;
  if (!client)
    return;
  asio::post(client->core.io, [weak = state_->call] {
    if (const auto call = weak.lock())
      call->cancel();
  });
}

http_client::http_client(options opts) : impl_(std::make_shared<impl>(opts)) {
  impl_->thread = std::thread{[s = impl_.get()] { s->core.io.run(); }};
}

http_client::~http_client() {
  asio::post(impl_->core.io, [s = impl_.get()] { s->shut_down(); });
  impl_->thread.join();
}

call_handle http_client::start(client_request request, client_callbacks callbacks) {
  auto& core = impl_->core;
  auto call = std::make_shared<client_call>(core, std::move(request), std::move(callbacks));
  call_handle handle;
  handle.state_ = std::make_shared<call_handle::state>(call_handle::state{impl_, call});
  ++core.started;
  const bool overloaded = core.active++ >= core.opts.calls_max;
  asio::post(core.io, [s = impl_.get(), call = std::move(call), overloaded] {
    if (overloaded)
      return call->refuse_as_overloaded();
    call->start();
    if (!s->sweeping && !s->core.stopping)
      s->sweep();
  });
  return handle;
}

http_client::counters http_client::stats() const {
  const auto& core = impl_->core;
  return {core.started, core.active, core.opened, core.reused, core.replays};
}

}  // namespace holdfast::net
