#pragma once
// Who wants to hear of which agent. Shards publish every committed record; without subscribers that costs one load.

#include <atomic>
#include <functional>
#include <memory>
#include <shared_mutex>
#include <unordered_map>
#include <vector>

#include "schemas/fact.hpp"

namespace holdfast {

/// Thread-safe. Subscribers are called on the publishing shard's thread, in the order of commits; they must not block
/// and must not call back into the hub.
class commit_feed {
public:
  using listener = std::function<void(std::shared_ptr<const turn_record>)>;

  std::uint64_t subscribe(agent_name to, listener on_record);
  void unsubscribe(std::uint64_t subscription);
  void publish(const std::shared_ptr<const turn_record>& record) const;
  std::size_t subscribers() const noexcept { return count_; }

private:
  struct entry {
    std::uint64_t id = 0;
    std::shared_ptr<listener> on_record;
  };
  mutable std::shared_mutex mutex_;
  std::unordered_map<agent_name, std::vector<entry>> by_agent_;
  std::unordered_map<std::uint64_t, agent_name> by_id_;
  std::uint64_t next_ = 1;
  std::atomic<std::size_t> count_{0};
};

}  // namespace holdfast
