#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <variant>
#include <vector>

#include "runtime/net/http_message.hpp"

namespace holdfast::net {

class server_stream;

/// Names a connection of one worker. Slots are reused; the generation tells the tenants apart.
struct connection_id {
  uint32_t slot = 0;
  uint32_t generation = 0;
};

/// Names one request on one connection.
struct exchange_id {
  connection_id connection;
  uint32_t request = 0;
};

struct send_reply {
  exchange_id to;
  http_response response;
};
struct begin_stream {
  exchange_id to;
  http_response head;
  std::shared_ptr<server_stream> stream;
};
struct flush_stream {
  std::shared_ptr<server_stream> stream;
};
struct abandon_reply {
  exchange_id to;
};  // every responder is gone

using inbox_command = std::variant<send_reply, begin_stream, flush_stream, abandon_reply>;

/// The way from any thread into one worker. Whatever arrives between two turns of the worker costs
/// one wake-up. Holds no reference to its worker, so handles may outlive the server.
class reply_inbox {
public:
  /// `wake` makes the worker call `take`; it is called under the lock, at most once per `take`,
  /// from the thread that pushes.
  explicit reply_inbox(std::function<void()> wake) : wake_(std::move(wake)) {}

  /// False when closed: the command was not taken over.
  bool push(inbox_command&& command);

  /// All or nothing, one lock and one wake-up.
  bool push_all(std::span<inbox_command> commands);

  /// Exchanges everything queued for the empty vector given; the worker hands it back to reuse it.
  void take(std::vector<inbox_command>& out);

  /// Refuses from now on and forgets `wake`. What is queued can still be taken.
  void close();

private:
  std::mutex mutex_;
  std::function<void()> wake_;
  std::vector<inbox_command> queue_;
  bool woken_ = false;
  bool closed_ = false;
};

}  // namespace holdfast::net
