#pragma once

#include <atomic>
#include <boost/asio/ssl/context.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/net/asio_types.hpp"
#include "runtime/net/client_connection.hpp"
#include "runtime/net/client_pool.hpp"
#include "runtime/net/http_client.hpp"
#include "runtime/net/name_resolver.hpp"
#include "runtime/net/response_parser.hpp"
#include "runtime/net/url.hpp"

namespace holdfast::net {

class client_call;

/// What the calls of one client share. Io thread only, except the atomics.
struct client_core {
  client_core(const http_client::options& options, asio::ssl::context context)
    : opts(options),
      tls(std::move(context)),
      pool({opts.idle_per_origin_max, opts.idle_total_max, opts.idle_expiry}) {}

  const http_client::options opts;
  asio::io_context io{1};  // one thread runs it
  asio::ssl::context tls;
  std::vector<char> read_buffer = std::vector<char>(64 << 10);
  client_pool pool;
  name_resolver resolver;
  std::unordered_map<const client_call*, std::shared_ptr<client_call>> calls;
  bool stopping = false;

  std::atomic<uint64_t> started{0}, active{0}, opened{0}, reused{0}, replays{0};
};

/// One call from its start to its result: address, connection, request, response. Io thread only,
/// except the constructor.
class client_call final : public connection_user, public std::enable_shared_from_this<client_call> {
public:
  using clock = std::chrono::steady_clock;

  client_call(client_core& core, client_request request, client_callbacks callbacks);

  void start();
  void cancel();
  void refuse_as_overloaded();

  /// Ends the call, or its attempt to connect, when its time is up.
  void check_deadlines(clock::time_point now);

private:
  enum class phase : uint8_t { waiting, resolving, connecting, handshake, exchange, done };

  void on_opened(io_status status) override;
  void on_received(io_status status, std::string_view bytes) override;
  void on_progress() override;
  void on_sent(io_status status) override;

  void reuse_or_connect();
  void connect_anew();
  void resolved(name_resolver::answer&& answer);
  void connect_next();
  void connected(unsigned attempt, error_code failure);
  std::unique_ptr<transport> make_transport();
  void exchange();
  void process();
  bool deliver_body();
  void connection_lost(io_status status);
  void set_deadline(client_failure failure, std::chrono::milliseconds from_now);
  void fail(client_failure failure, std::string detail);
  void finish();
  void drop_connection();
  bool may_reuse() const;
  std::string place() const;

  client_core& core_;
  client_request request_;
  client_callbacks callbacks_;
  client_result result_;
  phase phase_ = phase::waiting;

  clock::time_point total_deadline_{};
  clock::time_point deadline_{};
  client_failure deadline_failure_ = client_failure::none;

  url url_;
  std::vector<ip_address> addresses_;  // permitted ones
  size_t address_next_ = 0;
  unsigned attempt_ = 0;
  clock::time_point connect_deadline_{};
  std::string connect_failure_;  // of the last address tried
  std::optional<tcp_socket> socket_;
  std::shared_ptr<std::atomic<bool>> wanted_ = std::make_shared<std::atomic<bool>>(true);

  std::shared_ptr<client_connection> connection_;
  std::optional<io_status> lost_;  // the connection's end, until it is known what was sent
  bool reused_ = false;
  bool replayed_ = false;
  std::optional<response_parser> parser_;
  bool head_told_ = false;
  bool input_left_ = false;  // bytes behind the response: the connection is out of step
  size_t body_bytes_ = 0;
};

}  // namespace holdfast::net
