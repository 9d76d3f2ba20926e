#include "runtime/net/link_outbox.hpp"

#include "runtime/net/link_record.hpp"

namespace holdfast::net {

bool link_outbox::push(std::string&& frame) {
  const size_t cost = link_frame_cost(frame.size());
  std::lock_guard lock{mutex_};
  const size_t queued = queued_.load(std::memory_order_relaxed);
  if (closed_ || (queued != 0 && queued + cost > bytes_max_))
    return false;
  queue_.push_back(std::move(frame));
  queued_.fetch_add(cost, std::memory_order_relaxed);
  if (listening_) {
    listening_ = false;
    wake_();
  }
  return true;
}

void link_outbox::alert() {
  std::lock_guard lock{mutex_};
  if (closed_ || alerted_)
    return;
  alerted_ = true;
  wake_();
}

void link_outbox::heed() {
  std::lock_guard lock{mutex_};
  alerted_ = false;
}

bool link_outbox::take(std::vector<std::string>& out) {
  std::lock_guard lock{mutex_};
  listening_ = queue_.empty();
  if (listening_)
    return false;
  std::swap(queue_, out);
  return true;
}

void link_outbox::close() {
  std::vector<std::string> dropped;
  std::lock_guard lock{mutex_};
  closed_ = true;
  wake_ = nullptr;
  std::swap(queue_, dropped);
  queued_ = 0;
}

struct link_unread::holding {
  holding(std::shared_ptr<link_unread> u, size_t c) : unread(std::move(u)), cost(c) {}
  holding(const holding&) = delete;
  holding& operator=(const holding&) = delete;
  ~holding() { unread->release(cost); }

  std::shared_ptr<link_unread> unread;
  size_t cost;
};

std::shared_ptr<void> link_unread::hold(const std::shared_ptr<link_unread>& in, size_t cost) {
  in->received_ += cost;
  return std::make_shared<holding>(in, cost);
}

uint64_t link_unread::report() {
  reported_ = released_.load();
  return reported_;
}

uint64_t link_unread::held() const {
  const uint64_t released = released_;  // first: never more than was received by then
  return received_ - released;
}

void link_unread::release(size_t cost) {
  const uint64_t before = released_.fetch_add(cost);
  // Only whoever goes over the mark wakes; a report meanwhile can only make the wake-up needless.
  const uint64_t mark = reported_.load() + report_every_;
  if (before + cost >= mark)
    outbox_->alert();
}

}  // namespace holdfast::net
