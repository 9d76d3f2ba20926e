#include "runtime/net/link_dial.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <utility>

namespace holdfast::net {

link_dial::link_dial(asio::io_context& io, int64_t deadline_ms, bool loopback_only,
                     callback on_done)
  : io_(io),
    deadline_ms_(deadline_ms),
    loopback_only_(loopback_only),
    on_done_(std::move(on_done)),
    socket_(io) {}

void link_dial::start(name_resolver& names, const std::string& host, uint16_t port, unsigned turn) {
  error_code not_numeric;
  if (const auto address = asio::ip::make_address(host, not_numeric); !not_numeric) {
    connect(address, port);
    return;
  }
  names.resolve(host, wanted_, [this, weak = weak_from_this(), port, turn](auto&& answer) {
    auto found = answer;
    asio::post(io_, [weak, found, port, turn] {
      auto self = weak.lock();
      if (!self || !self->on_done_)
        return;
      if (found.addresses.empty()) {
        self->done(found.failure);
        return;
      }
      error_code ignored;
      self->connect(
        asio::ip::make_address(found.addresses[turn % found.addresses.size()].to_string(), ignored),
        port);
    });
  });
}

void link_dial::connect(const asio::ip::address& address, uint16_t port) {
  if (loopback_only_ && !address.is_loopback()) {
    done("without tls only loopback addresses are dialled; configure tls");
    return;
  }
  socket_.async_connect({address, port}, [self = shared_from_this()](error_code failure) {
    self->done(failure ? failure.message() : std::string{});
  });
}

void link_dial::done(const std::string& failure) {
  if (!on_done_)
    return;
  *wanted_ = false;
  std::exchange(on_done_, nullptr)(failure.empty() ? &socket_ : nullptr, failure);
}

void link_dial::sweep(int64_t now_ms) {
  if (now_ms <= deadline_ms_ || !on_done_)
    return;
  auto self = shared_from_this();  // the callback may let go of it
  error_code ignored;
  socket_.close(ignored);
  done("no answer in time");
}

void link_dial::cancel() {
  on_done_ = nullptr;
  *wanted_ = false;
  error_code ignored;
  socket_.close(ignored);
}

}  // namespace holdfast::net
