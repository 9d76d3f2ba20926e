#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "runtime/net/link_connection.hpp"
#include "runtime/net/link_dial.hpp"
#include "runtime/net/link_directory.hpp"
#include "runtime/net/name_resolver.hpp"

namespace holdfast::net {

/// The io thread of a `peer_link`: accepts, dials, keeps one connection per pair and looks at every
/// deadline. All but the constructor, `listen`, `run`, `set_peers` and `stop` belongs to that
/// thread.
class link_hub final : public link_owner {
public:
  link_hub(const peer_link::options& opts, peer_link::events on, link_directory& directory);
  ~link_hub() override;

  link_status listen();
  uint16_t port() const { return port_; }
  void run();                                                   // until `stop`
  void stop();                                                  // any thread
  void set_peers(std::map<std::string, std::string> peers);     // any thread
  link_status reload_tls();                                     // any thread
  int64_t certificate_expires_s() const { return expires_s_; }  // any thread; 0: no TLS

  link_verdict judge(const link_connection& about) override;
  bool is_duplicate(const link_connection& about) const override;
  bool claim(link_connection& by) override;
  void on_up(link_connection& which) override;
  void on_frame(link_connection& from, link_frame&& frame) override;
  void on_ended(link_connection& which, link_end how, const std::string& why) override;

private:
  using connection_ptr = std::shared_ptr<link_connection>;

  /// A node to hold a connection with.
  struct target {
    std::string address, host;
    uint16_t port = 0;
    unsigned failures = 0;  // in a row
    unsigned turn = 0;
    int64_t dial_at_ms = 0;
    std::shared_ptr<link_dial> dial;  // TCP under way
    connection_ptr trying;            // the handshake under way
  };
  struct reported {
    std::string text;
    int64_t at_ms = 0;
  };

  struct tls_sides {
    asio::ssl::context server{asio::ssl::context::tls_server};
    asio::ssl::context client{asio::ssl::context::tls_client};
  };
  /// Null without TLS.
  link_status load_tls(std::shared_ptr<tls_sides>& out);

  void accept();
  void on_accept(const error_code& failure, tcp_socket socket);
  void make_room();
  connection_ptr adopt(tcp_socket socket, bool dialled, const std::string& node,
                       const std::string& address);

  void take_peers();
  void remove_target(const std::string& node);
  void dial(const std::string& node, target& to);
  void abandon_attempt(target& to);
  void on_dialled(const std::string& node, tcp_socket* socket, const std::string& failure);
  void attempt_failed(const std::string& node, link_end how, const std::string& why);
  int64_t backoff(unsigned failures);

  void end_session(const std::string& node, const std::string& why);
  void report(const std::string& about, const std::string& why);
  void forget_if_unused(const std::string& node);

  void sweep();
  void schedule_sweep(int64_t expected_ms);

  const peer_link::options& opts_;
  peer_link::events on_;
  link_directory& directory_;
  asio::io_context io_{1};
  asio::executor_work_guard<io_executor> work_;
  std::shared_ptr<tls_sides> tls_;  // a connection keeps what it needs of it
  tcp_acceptor acceptor_;
  tcp::endpoint accepted_from_;
  steady_timer sweep_timer_;
  steady_timer accept_pause_;
  name_resolver names_;
  std::minstd_rand chance_;
  uint16_t port_ = 0;
  std::atomic<int64_t> expires_s_ = 0;
  int64_t tick_ms_ = 0;
  int64_t sweep_due_ms_ = 0;
  bool stopping_ = false;
  link_shared shared_;

  std::map<std::string, target> targets_;
  std::map<std::string, connection_ptr> sessions_;  // by node: the one connection of the pair
  std::vector<connection_ptr> connections_;         // all that are not gone, oldest first
  std::map<std::string, reported> reported_;

  std::mutex mutex_;
  std::optional<std::map<std::string, std::string>> peers_wanted_;  // not yet taken
};

}  // namespace holdfast::net
