#include "runtime/net/peer_link.hpp"

#include <thread>

#include "runtime/net/link_greeting.hpp"
#include "runtime/net/link_hub.hpp"

namespace holdfast::net {

namespace {

constexpr size_t link_frame_bytes_limit = 1u << 30;  // a record's size has 32 bits

std::string problem_with_options(const peer_link::options& opts) {
  using std::chrono::milliseconds;
  if (opts.frame_bytes_max == 0 || opts.frame_bytes_max > link_frame_bytes_limit)
    return "frame_bytes_max must be 1 to 2^30";
  if (opts.queue_bytes_max == 0 || opts.unread_bytes_max == 0 || opts.connections_max == 0)
    return "a bound of the node link is 0";
  for (const auto wait : {opts.connect, opts.handshake, opts.ping, opts.silent_max,
                          opts.backoff_min, opts.backoff_max})
    if (wait <= milliseconds{0})
      return "a time of the node link is 0";
  if (opts.silent_max < 2 * opts.ping)
    return "silent_max must be at least twice ping";
  return problem_with(opts.self);
}

}  // namespace

struct peer_link::impl {
  explicit impl(options o) : opts(std::move(o)) {}

  options opts;
  link_directory directory;
  std::unique_ptr<link_hub> hub;
  std::thread thread;
  std::atomic<uint16_t> port = 0;
};

peer_link::peer_link(options opts) : impl_(std::make_unique<impl>(std::move(opts))) {}

peer_link::~peer_link() { stop(); }

link_status peer_link::start(events on) {
  auto& s = *impl_;
  if (auto wrong = problem_with_options(s.opts); !wrong.empty())
    return {link_failure::bad_options, std::move(wrong)};
  auto hub = std::make_unique<link_hub>(s.opts, std::move(on), s.directory);
  if (auto status = hub->listen(); !status)
    return status;
  s.port = hub->port();
  s.hub = std::move(hub);
  s.thread = std::thread{[h = s.hub.get()] { h->run(); }};
  return {};
}

void peer_link::stop() {
  auto& s = *impl_;
  if (!s.thread.joinable())
    return;
  s.hub->stop();
  s.thread.join();
}

uint16_t peer_link::port() const noexcept { return impl_->port; }

void peer_link::set_peers(std::map<std::string, std::string> peers) {
  if (impl_->hub)
    impl_->hub->set_peers(std::move(peers));
}

link_status peer_link::reload_tls() {
  return impl_->hub ? impl_->hub->reload_tls() : link_status{};
}

std::optional<int64_t> peer_link::certificate_expires_s() const {
  const auto at = impl_->hub ? impl_->hub->certificate_expires_s() : 0;
  return at == 0 ? std::nullopt : std::optional{at};
}

bool peer_link::send(std::string_view node, std::string frame) {
  return impl_->directory.send(node, std::move(frame), impl_->opts.frame_bytes_max);
}

bool peer_link::connected(std::string_view node) const { return impl_->directory.connected(node); }

std::map<std::string, link_peer_stats> peer_link::stats() const { return impl_->directory.stats(); }

}  // namespace holdfast::net
