#include "cluster/log_inbox.hpp"

#include "persistence/record_size.hpp"

namespace holdfast {

void log_inbox::batch::clear() {
  proposals.clear();
  messages.clear();
  tasks.clear();
}

/// Without the lock, which the thread would wait for at once.
void log_inbox::wake(std::unique_lock<std::mutex>& lock) {
  const bool sleeps = std::exchange(sleeping_, false);
  lock.unlock();
  if (sleeps)
    wake_.notify_one();
}

status log_inbox::propose(group_id group, std::uint64_t term,
                          std::shared_ptr<const turn_record> record) {
  HOLDFAST_ASSERT(record, "a proposal without a record");
  const auto bytes = size_of(*record);
  const bool is_new = is_new_event(*record);
  std::unique_lock lock{mutex_};
  if (stopped_ || term == 0 || group >= terms_.size() || terms_[group] != term)
    return error{errc::not_leader, "this node does not lead group " + std::to_string(group) +
                                     " in term " + std::to_string(term)};
  if (auto taken = room_.take(bytes, is_new); !taken) {
    refused_.fetch_add(1, std::memory_order_relaxed);
    return taken;
  }
  waiting_.proposals.push_back({std::move(record), bytes, group, term});
  wake(lock);
  return ok_status();
}

void log_inbox::receive(received what) {
  std::unique_lock lock{mutex_};
  if (stopped_ || messages_ + what.messages.size() > messages_max_)
    return;
  messages_ += what.messages.size();
  waiting_.messages.push_back(std::move(what));
  wake(lock);
}

void log_inbox::post(task what) {
  std::unique_lock lock{mutex_};
  if (stopped_)
    return;
  waiting_.tasks.push_back(std::move(what));
  wake(lock);
}

void log_inbox::stop() {
  {
    const std::lock_guard lock{mutex_};
    stopped_ = true;
  }
  wake_.notify_all();
}

bool log_inbox::next(batch& out, std::chrono::milliseconds wait_max) {
  std::unique_lock lock{mutex_};
  if (waiting_.empty() && !stopped_ && wait_max.count() > 0) {
    sleeping_ = true;
    wake_.wait_for(lock, wait_max, [this] { return stopped_ || !waiting_.empty(); });
    sleeping_ = false;
  }
  if (stopped_)
    return false;
  std::swap(out, waiting_);
  messages_ = 0;
  return true;
}

void log_inbox::open(group_id group, std::uint64_t term) {
  const std::lock_guard lock{mutex_};
  if (group >= terms_.size())
    terms_.resize(std::size_t{group} + 1);
  terms_[group] = term;
}

void log_inbox::close(group_id group) {
  const std::lock_guard lock{mutex_};
  if (group < terms_.size())
    terms_[group] = 0;
}

void log_inbox::release(std::size_t records, std::size_t bytes) {
  if (records == 0)
    return;
  const std::lock_guard lock{mutex_};
  room_.give_back(records, bytes);
}

void log_inbox::clear() {
  const std::lock_guard lock{mutex_};
  waiting_ = {};
}

}  // namespace holdfast
