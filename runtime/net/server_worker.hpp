#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "runtime/net/asio_types.hpp"
#include "runtime/net/server_connection.hpp"
#include "runtime/net/tls_context.hpp"

namespace holdfast::net {

/// One io thread's share of the server: its connections in slots, their deadlines in one sweep, and
/// the inbox through which answers arrive. Everything but the constructor, `adopt`, `drain`, `stop`
/// and the counters runs on the io thread, inside `run`.
class server_worker {
public:
  /// `tls`: none for plain TCP. `on_empty` is called on the io thread when the last connection
  /// ends. The references outlive the worker.
  server_worker(const http_server::options& opts, const handler& on_request,
                std::shared_ptr<tls_context> tls, std::function<void()> on_empty);
  ~server_worker();

  asio::io_context& context() noexcept { return io_; }

  /// Runs until `stop` and the end of every connection.
  void run();

  // Any thread.
  /// Takes a connected socket of this worker's context. `refused`: over the limit, answer 503.
  void adopt(tcp_socket socket, tcp::endpoint peer, bool refused);
  void drain();
  void stop();
  /// For connections that come from now on.
  void use(std::shared_ptr<tls_context> tls);
  const worker_counters& counters() const noexcept { return shared_.counters; }

private:
  struct slot {
    std::unique_ptr<server_connection> connection;
    uint32_t generation = 0;
  };

  void welcome(tcp_socket socket, const tcp::endpoint& peer, bool refused);
  void give_up(connection_id id);
  server_connection* find(connection_id id) noexcept;
  void process_inbox();
  void obey(inbox_command& command);
  void schedule_sweep();
  void sweep();
  void close_all();

  asio::io_context io_{1};  // one thread runs it
  asio::executor_work_guard<io_executor> work_;
  steady_timer sweep_timer_;
  std::shared_ptr<tls_context> tls_;
  std::function<void()> on_empty_;
  connection_context shared_;
  std::vector<char> read_buffer_;
  std::vector<slot> slots_;
  std::vector<uint32_t> free_slots_;
  std::vector<inbox_command> commands_;
  std::time_t date_s_ = 0;
  bool stopping_ = false;
};

}  // namespace holdfast::net
