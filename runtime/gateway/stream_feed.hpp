#pragma once
// One agent's live events and those who listen. Everything happens one task after the other, on
// whichever thread brought the task; nobody waits for another thread.

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "runtime/gateway/backend.hpp"
#include "runtime/gateway/stream_renderer.hpp"
#include "runtime/net/responder.hpp"

namespace holdfast {

/// One open stream. Touched by its feed's tasks only, but for `gone`.
struct stream_subscriber {
  net::stream_handle out;
  run_id run;              ///< empty: all of the agent
  stream_cursor position;  ///< everything up to here was sent, or was not asked for
  std::int64_t last_ms = 0;
  std::shared_ptr<const principal> who;  ///< whose key opened it here
  std::atomic<bool> gone{false};
};

/// What a replay leaves: the renderer has seen the open run from its beginning, up to `seq`.
struct stream_context {
  stream_renderer renderer;
  seq_no seq = 0;
};

class stream_feed : public std::enable_shared_from_this<stream_feed> {
public:
  /// `offload` as in `gateway_options`; must outlive the feed's last task.
  using executor = std::function<void(std::function<void()>)>;
  stream_feed(backend& node, agent_name name, const executor& offload);
  ~stream_feed();

  const agent_name& name() const noexcept { return name_; }
  group_id group() const noexcept { return group_; }

  /// Hears of commits from now on. Not from within a commit's callback.
  void subscribe();
  void unsubscribe();

  /// `context` ends where the replay of the subscriber ended.
  void attach(std::shared_ptr<stream_subscriber> subscriber, stream_context context);
  /// The client is gone. Any thread, any number of times.
  void detach(const std::shared_ptr<stream_subscriber>& subscriber);
  /// Comments for those who heard nothing for that long. Who is not `valid` any more is dropped;
  /// null: all are. `valid` outlives the feed's tasks.
  void keep_alive(std::int64_t now_ms, std::int64_t silence_ms,
                  const std::function<bool(const principal&)>& valid);
  void close_all();

  /// Streams that are open or about to be: counted up by the hub, down by whoever ends one.
  std::atomic<std::size_t> users{0};

private:
  using task = std::function<void()>;
  void post(task work);
  void run();

  void join(const std::shared_ptr<stream_subscriber>& subscriber, stream_context& context);
  void refresh();
  void take(const turn_record& record);
  bool catch_up(stream_renderer& renderer, seq_no from, seq_no to,
                std::vector<rendered_event>& out);
  void deliver(const std::vector<rendered_event>& events, seq_no last);
  /// Events on their way, and their bytes as they go to everybody: made at most once.
  struct batch {
    const std::vector<rendered_event>& events;
    std::shared_ptr<const std::string> all = {};
    std::vector<std::pair<run_id, std::shared_ptr<const std::string>>> by_run = {};
  };
  /// False when the subscriber is gone or done.
  bool send(stream_subscriber& to, batch& what);
  void drop(const std::shared_ptr<stream_subscriber>& subscriber);
  void drop_all();

  backend& node_;
  const agent_name name_;
  const group_id group_;
  const executor& offload_;

  std::mutex mutex_;  // of these
  std::deque<task> tasks_;
  bool running_ = false;

  std::mutex subscription_mutex_;
  std::optional<std::uint64_t> subscription_;

  // Tasks only.
  std::optional<stream_context> context_;
  std::vector<std::shared_ptr<stream_subscriber>> subscribers_;
  std::int64_t now_ms_ = 0;
};

}  // namespace holdfast
