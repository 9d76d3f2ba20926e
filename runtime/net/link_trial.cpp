#include "runtime/net/link_trial.hpp"

#include <chrono>
#include <memory>
#include <vector>

#include "runtime/net/link_certificates.hpp"
#include "runtime/net/link_connection.hpp"
#include "runtime/net/link_dial.hpp"

namespace holdfast::net {

namespace {

constexpr std::chrono::milliseconds trial_sweep{10};

int64_t trial_now_ms() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

/// Dials all of them and waits for what each says; no connection comes up.
class trial_round final : public link_owner {
public:
  explicit trial_round(const peer_link::options& opts)
    : opts_(opts),
      timer_(io_),
      shared_{opts, {opts.self, random_run(), opts.unread_bytes_max, true}, *this, trial_now_ms()} {
  }

  std::map<std::string, link_trial> run(const std::map<std::string, std::string>& peers) {
    const auto wrong = opts_.tls ? load_link_tls(tls_, *opts_.tls) : std::string{};
    for (const auto& [node, address] : peers)
      out_[node] = {link_trial::outcome::refused, wrong};
    if (!wrong.empty())
      return std::move(out_);
    waiting_ = peers.size();
    for (const auto& [node, address] : peers)
      dial(node, address);
    if (waiting_ > 0) {
      sweep();
      io_.run();
    }
    return std::move(out_);
  }

  link_verdict judge(const link_connection& about) override {
    return {mismatch_of(shared_.self, about.peer(), about.node())};
  }
  bool is_duplicate(const link_connection& /*about*/) const override { return false; }
  bool claim(link_connection& /*by*/) override { return false; }
  void on_up(link_connection& /*which*/) override {}
  void on_frame(link_connection& /*from*/, link_frame&& /*frame*/) override {}
  void on_ended(link_connection& which, link_end how, const std::string& why) override {
    finish(which.node(),
           how == link_end::quietly  ? link_trial::outcome::believed
           : how == link_end::failed ? link_trial::outcome::unreachable
                                     : link_trial::outcome::refused,
           why);
  }

private:
  void dial(const std::string& node, const std::string& address) {
    std::string host;
    uint16_t port = 0;
    if (!split_address(address, host, port)) {
      finish(node, link_trial::outcome::unreachable, printable(address) + " is not host:port");
      return;
    }
    dials_.push_back(std::make_shared<link_dial>(
      io_, shared_.now_ms + opts_.connect.count(), !opts_.tls,
      [this, node, address](tcp_socket* socket, const std::string& failure) {
        if (socket)
          greet(std::move(*socket), node, address);
        else
          finish(node, link_trial::outcome::unreachable, node + " at " + address + ": " + failure);
      }));
    dials_.back()->start(names_, host, port, 0);
  }

  void greet(tcp_socket socket, const std::string& node, const std::string& address) {
    connections_.push_back(std::make_shared<link_connection>(
      shared_, std::move(socket), opts_.tls ? &tls_ : nullptr, node, address));
    connections_.back()->start();
  }

  void finish(const std::string& node, link_trial::outcome result, const std::string& why) {
    out_[node] = {result, why};
    if (--waiting_ == 0)
      io_.stop();
  }

  /// Looks at every deadline.
  void sweep() {
    shared_.now_ms = trial_now_ms();
    for (const auto& dial : dials_)
      dial->sweep(shared_.now_ms);
    for (const auto& connection : connections_)
      connection->sweep(0);
    timer_.expires_after(trial_sweep);
    timer_.async_wait([this](error_code cancelled) {
      if (!cancelled)
        sweep();
    });
  }

  const peer_link::options& opts_;
  asio::io_context io_{1};
  asio::ssl::context tls_{asio::ssl::context::tls_client};
  steady_timer timer_;
  name_resolver names_;
  link_shared shared_;
  std::vector<std::shared_ptr<link_dial>> dials_;
  std::vector<std::shared_ptr<link_connection>> connections_;
  std::map<std::string, link_trial> out_;
  size_t waiting_ = 0;
};

}  // namespace

std::map<std::string, link_trial> try_links(const peer_link::options& opts,
                                            const std::map<std::string, std::string>& peers) {
  return trial_round{opts}.run(peers);
}

}  // namespace holdfast::net
