#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace holdfast::net {

/// The way from any thread into one connection: frames to send, in order, bounded in bytes. The
/// connection is woken only when it has gone to sleep over an empty queue, so that what arrives
/// while it writes costs no wake-up.
class link_outbox {
public:
  /// `wake` makes the connection look; it is called under the lock, from the thread that pushes.
  link_outbox(size_t bytes_max, std::function<void()> wake)
    : bytes_max_(bytes_max), wake_(std::move(wake)) {}

  /// False when full or closed: nothing was taken over.
  bool push(std::string&& frame);

  /// Wakes the connection for another reason than a frame; at most once between two `heed`.
  void alert();

  /// The connection looks now, whatever `alert` was for.
  void heed();

  /// Exchanges everything queued for the empty vector given. Nothing there: false, and the next
  /// push wakes.
  bool take(std::vector<std::string>& out);

  /// So much of what was taken is in the kernel's hands.
  void sent(size_t cost) { queued_.fetch_sub(cost, std::memory_order_relaxed); }

  /// Pushed and not yet `sent`, by cost.
  size_t queued() const { return queued_.load(std::memory_order_relaxed); }

  /// Refuses from now on, forgets what is queued and `wake`.
  void close();

private:
  const size_t bytes_max_;
  std::mutex mutex_;
  std::function<void()> wake_;
  std::vector<std::string> queue_;
  std::atomic<size_t> queued_ = 0;
  bool listening_ = true;  // a push wakes
  bool alerted_ = false;
  bool closed_ = false;
};

/// What one peer's frames occupy here until the application lets go of them. Outlives its
/// connection as long as a frame is held.
class link_unread {
public:
  link_unread(uint64_t report_every, std::shared_ptr<link_outbox> outbox)
    : report_every_(report_every), outbox_(std::move(outbox)) {}

  /// Counts a frame that has arrived; it counts until the result is gone.
  static std::shared_ptr<void> hold(const std::shared_ptr<link_unread>& in, size_t cost);

  /// The peer may send so much more than at first: to be told when `report_due`.
  bool report_due() const { return released() - reported_.load() >= report_every_; }
  uint64_t report();
  uint64_t reported() const { return reported_.load(); }

  uint64_t received() const { return received_.load(); }
  uint64_t held() const;

private:
  struct holding;
  uint64_t released() const { return released_.load(); }
  void release(size_t cost);

  const uint64_t report_every_;
  std::shared_ptr<link_outbox> outbox_;
  std::atomic<uint64_t> received_ = 0;
  std::atomic<uint64_t> released_ = 0;
  std::atomic<uint64_t> reported_ = 0;
};

}  // namespace holdfast::net
