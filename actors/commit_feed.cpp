#include "actors/commit_feed.hpp"

#include <mutex>

namespace holdfast {

std::uint64_t commit_feed::subscribe(agent_name to, listener on_record) {
  std::unique_lock lock{mutex_};
  const std::uint64_t id = next_++;
  by_agent_[to].push_back({id, std::make_shared<listener>(std::move(on_record))});
  by_id_.emplace(id, std::move(to));
  ++count_;
  return id;
}

void commit_feed::unsubscribe(std::uint64_t subscription) {
  std::unique_lock lock{mutex_};
  const auto found = by_id_.find(subscription);
  if (found == by_id_.end())
    return;
  const auto agent = by_agent_.find(found->second);
  std::erase_if(agent->second, [&](const entry& e) { return e.id == subscription; });
  if (agent->second.empty())
    by_agent_.erase(agent);
  by_id_.erase(found);
  --count_;
}

void commit_feed::publish(const std::shared_ptr<const turn_record>& record) const {
  if (count_.load(std::memory_order_acquire) == 0)
    return;
  std::vector<std::shared_ptr<listener>> listeners;
  {
    std::shared_lock lock{mutex_};
    const auto found = by_agent_.find(record->agent);
    if (found == by_agent_.end())
      return;
    for (const auto& one : found->second)
      listeners.push_back(one.on_record);
  }
  for (const auto& one : listeners)
    (*one)(record);
}

}  // namespace holdfast
