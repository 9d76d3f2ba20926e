// Streams of client.hpp. The io thread parses and queues, the calling thread handles.

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "tools/holdfast/client.hpp"

namespace holdfast::cli {

namespace {

using steady = std::chrono::steady_clock;
constexpr std::chrono::milliseconds retry_delay_max{5'000};
constexpr std::size_t error_body_max = 64 << 10;

constexpr std::chrono::seconds long_lived{5};  // a connection that was no failure, events or not

/// Waits; false when the deadline came first.
bool wait_unless_deadline(std::chrono::milliseconds wait,
                          const std::optional<steady::time_point>& deadline) {
  const auto until = steady::now() + wait;
  std::this_thread::sleep_until(deadline ? std::min(until, *deadline) : until);
  return !deadline || steady::now() < *deadline;
}

/// When to try again after a stream broke, and when to stop trying.
class reconnection {
public:
  explicit reconnection(const follow_options& options)
    : options_(options), delay_(options.retry_delay) {}

  /// Something arrived.
  void succeeded() {
    if (told_ && options_.say)
      options_.say("connected again");
    told_ = false;
    delay_ = options_.retry_delay;
    failing_ = false;
    ever_succeeded_ = true;
  }

  /// The connection ended, with a reason or without one. Throws when trying again is of no use.
  void failed(const std::optional<command_failure>& why, bool was_stream) {
    ever_succeeded_ = ever_succeeded_ || was_stream;
    if (why && (!ever_succeeded_ || why->code != exit_code::unavailable))
      throw *why;
    const auto now = steady::now();
    if (!failing_)
      failing_since_ = now;
    failing_ = true;
    if (now - failing_since_ > options_.give_up_after)
      throw why
        ? *why
        : command_failure{exit_code::unavailable, "the server ends the stream again and again"};
    if (why)
      delay_ = std::max(delay_, std::chrono::milliseconds{why->retry_after_s * 1'000});
    if (why && !told_ && options_.say) {
      options_.say("connection lost, trying again: " + why->message);
      told_ = true;
    }
  }

  std::chrono::milliseconds next_delay(std::optional<std::uint64_t> retry_ms) {
    auto delay = delay_;
    if (retry_ms)
      delay =
        std::max(delay, std::chrono::milliseconds{std::min<std::uint64_t>(*retry_ms, 60'000)});
    delay = std::min(delay, retry_delay_max);
    delay_ = delay * 2;
    return delay;
  }

private:
  const follow_options& options_;
  std::chrono::milliseconds delay_;
  bool failing_ = false;
  steady::time_point failing_since_;
  bool ever_succeeded_ = false;
  bool told_ = false;
};

}  // namespace

/// What one connection brought; shared between the io thread and the caller.
struct api_client::feed {
  explicit feed(std::size_t bytes_max) : queue_bytes_max(bytes_max) {}

  const std::size_t queue_bytes_max;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<net::sse_event> queue;
  std::size_t queue_bytes = 0;
  bool overflowed = false;  // what came later was dropped
  bool broken = false;      // not an event stream the parser can go on with
  bool done = false;
  std::string cursor;  // of everything queued, blocks without data included
  std::optional<std::uint64_t> retry_ms;
  unsigned status = 0;
  std::string error_body;
  std::string retry_after;
  net::client_result result;
  net::sse_parser parser;  // io thread only
  net::call_handle call;   // caller only

  void take_head(const net::client_response_head& head) {
    const std::lock_guard lock{mutex};
    status = head.status;
    retry_after = head.header("Retry-After");
  }

  void take_piece(std::string_view bytes) {
    const std::lock_guard lock{mutex};
    if (status != 200) {
      error_body.append(
        bytes.substr(0, error_body_max - std::min(error_body_max, error_body.size())));
      return;
    }
    if (overflowed || broken)
      return;
    const auto failed = parser.feed(bytes, [this](net::sse_event&& event) {
      if (overflowed)
        return;
      queue_bytes += event.data.size() + event.id.size() + sizeof(event);
      overflowed = queue_bytes > queue_bytes_max;
      queue.push_back(std::move(event));
    });
    broken = failed != net::sse_failure::none;
    if (!overflowed)
      cursor = parser.last_event_id();
    retry_ms = parser.retry_ms();
    changed.notify_one();
  }

  void take_end(net::client_result&& ended) {
    const std::lock_guard lock{mutex};
    result = std::move(ended);
    done = true;
    changed.notify_one();
  }

  /// The next event, if one came before `deadline`.
  enum class next_kind { event, end, deadline };
  next_kind next(net::sse_event& into, const std::optional<steady::time_point>& deadline) {
    std::unique_lock lock{mutex};
    const auto ready = [this] { return !queue.empty() || done || overflowed || broken; };
    if (deadline) {
      if (!changed.wait_until(lock, *deadline, ready))
        return next_kind::deadline;
    } else {
      changed.wait(lock, ready);
    }
    if (queue.empty())
      return next_kind::end;
    into = std::move(queue.front());
    queue.pop_front();
    if (!overflowed)
      queue_bytes -= std::min(queue_bytes, into.data.size() + into.id.size() + sizeof(into));
    return next_kind::event;
  }
};

void api_client::start_stream(const api_path& path, const std::string& cursor,
                              const std::shared_ptr<feed>& into) {
  auto sent = request_for({.method = "GET", .path = path});
  sent.headers.emplace_back("Accept", "text/event-stream");
  if (!cursor.empty())
    sent.headers.emplace_back("Last-Event-ID", cursor);
  sent.stream = true;
  sent.idle_timeout = std::chrono::minutes{2};
  sent.total_timeout = std::chrono::hours{24};
  sent.response_bytes_max = static_cast<std::size_t>(1) << 40;
  net::client_callbacks callbacks;
  callbacks.on_head = [into](const net::client_response_head& head) { into->take_head(head); };
  callbacks.on_body_piece = [into](std::string_view bytes) { into->take_piece(bytes); };
  callbacks.on_done = [into](net::client_result&& done) { into->take_end(std::move(done)); };
  into->call = http_.start(std::move(sent), std::move(callbacks));
}

/// Why the connection behind `ended` is over. Nothing when the server ended the stream in order, or
/// when it was only silent for long.
std::optional<command_failure> api_client::why_ended(feed& ended) const {
  const std::lock_guard lock{ended.mutex};
  if (ended.broken)
    return command_failure{exit_code::failed, "the event stream has an event too large to read"};
  if (ended.overflowed || !ended.done)
    return std::nullopt;
  if (ended.status >= 400)
    return failure_of_answer(ended.status, ended.error_body, ended.retry_after);
  if (!ended.result) {
    if (ended.status == 200 && ended.result.failure == net::client_failure::timeout_idle)
      return std::nullopt;
    return failure_without_answer(ended.result);
  }
  if (ended.status != 200)
    return command_failure{exit_code::failed, "the answer is no event stream"};
  return std::nullopt;
}

follow_end api_client::follow(const api_path& path, const follow_options& options,
                              const std::function<follow_step(const net::sse_event&)>& on_event) {
  auto cursor = options.cursor;
  reconnection again{options};
  for (;;) {
    const auto now = std::make_shared<feed>(options.queue_bytes_max);
    const auto started_at = steady::now();
    start_stream(path, cursor, now);
    net::sse_event event;
    auto next = now->next(event, options.deadline);
    for (; next == feed::next_kind::event; next = now->next(event, options.deadline)) {
      again.succeeded();
      const auto step = on_event(event);
      if (!event.id.empty())
        cursor = event.id;
      if (step == follow_step::stop) {
        now->call.cancel();
        return follow_end::stopped;
      }
    }
    now->call.cancel();
    if (next == feed::next_kind::deadline)
      return follow_end::deadline;

    if (now->overflowed)
      continue;  // everything queued is handled: go on right behind it
    if (!now->cursor.empty())
      cursor = now->cursor;
    if (now->status == 200 && steady::now() - started_at > long_lived)
      again.succeeded();
    again.failed(why_ended(*now), now->status == 200);
    const auto wait = again.next_delay(now->retry_ms);
    if (!wait_unless_deadline(wait, options.deadline))
      return follow_end::deadline;
  }
}

}  // namespace holdfast::cli
