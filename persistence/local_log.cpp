#include "persistence/local_log.hpp"

#include <algorithm>

#include "persistence/kill_point.hpp"
#include "persistence/record_size.hpp"

namespace holdfast {

local_log::local_log(store& into, state_machine& machine, commit_listener& listener,
                     local_log_options options, fail_stop on_failure)
  : store_(into),
    machine_(machine),
    listener_(listener),
    options_(options),
    on_failure_(on_failure ? std::move(on_failure) : end_process),
    room_(options.queue_records_max, options.queue_bytes_max) {}

local_log::~local_log() { stop(); }

status local_log::start(const std::vector<group_id>& groups) {
  HOLDFAST_ASSERT(groups_.empty() && !groups.empty(), "a log is started once, with its groups");
  kill_point("recovery.before");
  std::vector<group_log> started(std::size_t{*std::max_element(groups.begin(), groups.end())} + 1);
  write_set terms;
  for (const auto group : groups) {
    auto state = read_log_state(store_, group);
    if (!state)
      return state.error();
    ++state->term;
    put_log_state(group, *state, terms);
    started[group].state = *state;
  }
  if (auto written = store_.write(terms, true); !written)
    return written;
  kill_point("recovery.after");
  writes_made_.fetch_add(1, std::memory_order_relaxed);
  bytes_.fetch_add(terms.bytes(), std::memory_order_relaxed);
  groups_ = std::move(started);
  leading_.store(true, std::memory_order_release);
  for (const auto group : groups)
    listener_.leading(group, groups_[group].state.term);
  thread_ = std::thread{[this] { run(); }};
  return ok_status();
}

void local_log::stop() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable())
    thread_.join();
  leading_.store(false, std::memory_order_release);
}

status local_log::propose(group_id group, std::uint64_t term,
                          std::shared_ptr<const turn_record> record) {
  HOLDFAST_ASSERT(record, "a proposal without a record");
  const auto bytes = size_of(*record);
  const bool is_new = is_new_event(*record);
  bool wake = false;
  {
    const std::lock_guard lock{mutex_};
    if (stopping_ || !leads(group, term))
      return error{errc::not_leader, "this node does not lead group " + std::to_string(group) +
                                       " in term " + std::to_string(term)};
    if (auto taken = room_.take(bytes, is_new); !taken) {
      refused_.fetch_add(1, std::memory_order_relaxed);
      return taken;
    }
    queue_.push_back({std::move(record), bytes, group});
    wake = std::exchange(sleeping_, false);
  }
  if (wake)
    wake_.notify_one();
  return ok_status();
}

bool local_log::leads(group_id group, std::uint64_t term) const noexcept {
  return leading_.load(std::memory_order_acquire) && group < groups_.size() && term != 0 &&
         groups_[group].state.term == term;
}

commit_log::counters local_log::count() const noexcept {
  return {records_, writes_made_, bytes_, refused_};
}

void local_log::run() {
  batch taken;
  while (next_batch(taken)) {
    for (auto from = taken.begin(); from != taken.end();) {
      std::size_t bytes = from->bytes;
      auto to = from + 1;
      for (; to != taken.end() && bytes + to->bytes <= options_.group_bytes_max &&
             cut_epoch(*std::prev(to)->record) == 0;
           ++to)
        bytes += to->bytes;
      if (!commit(from, to))
        return;
      from = to;
    }
    taken.clear();
  }
}

/// Everything that is queued, or false: the log was stopped and nothing is left.
bool local_log::next_batch(batch& out) {
  std::unique_lock lock{mutex_};
  while (queue_.empty()) {
    if (stopping_)
      return false;
    wait_for_work(lock);
  }
  sleeping_ = false;
  out.swap(queue_);
  return true;
}

void local_log::wait_for_work(std::unique_lock<std::mutex>& lock) {
  sleeping_ = true;
  if (unsettled_bytes_ < options_.settle_bytes_min) {
    wake_.wait(lock);
  } else if (wake_.wait_for(lock, options_.settle_after) == std::cv_status::timeout &&
             queue_.empty()) {
    unsettled_bytes_ = 0;
    lock.unlock();
    store_.settle();
    lock.lock();
  }
}

/// One entry for each group, one durable write for all of them, then one message to each.
bool local_log::commit(batch::iterator from, batch::iterator to) {
  std::size_t bytes = 0;
  for (auto at = from; at != to; ++at) {
    auto& entry = groups_[at->group].entry;
    if (entry.empty())
      touched_.push_back(at->group);
    entry.push_back(std::move(at->record));
    bytes += at->bytes;
  }
  for (const auto group : touched_) {
    auto& log = groups_[group];
    ++log.state.applied;
    machine_.apply(store_, group, log.state.applied, log.entry, writes_);
    put_log_state(group, log.state, writes_);
  }
  kill_point("commit.before");
  if (auto written = store_.write(writes_, true); !written) {
    fail(written.error());
    return false;
  }
  kill_point("commit.after");
  const auto records = static_cast<std::size_t>(to - from);
  records_.fetch_add(records, std::memory_order_relaxed);
  writes_made_.fetch_add(1, std::memory_order_relaxed);
  bytes_.fetch_add(writes_.bytes(), std::memory_order_relaxed);
  unsettled_bytes_ += writes_.bytes();
  writes_.clear();
  release(records, bytes);
  for (const auto group : touched_) {
    auto& log = groups_[group];
    if (const auto epoch = cut_epoch(*log.entry.back()); epoch != 0)
      listener_.cut(group, epoch, log.state.applied);
    listener_.committed(group, log.state.term, log.state.applied, std::exchange(log.entry, {}));
  }
  touched_.clear();
  return true;
}

/// Before the listener hears of them, who may propose the next at once.
void local_log::release(std::size_t records, std::size_t bytes) {
  const std::lock_guard lock{mutex_};
  room_.give_back(records, bytes);
}

void local_log::fail(const error& why) {
  leading_.store(false, std::memory_order_release);
  on_failure_(why);
  const std::lock_guard lock{mutex_};
  stopping_ = true;
  queue_.clear();
}

}  // namespace holdfast
