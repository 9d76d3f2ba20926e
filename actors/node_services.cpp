#include "actors/node_services.hpp"

namespace holdfast {

void shard_directory::put(group_id group, shard_actor shard) {
  std::unique_lock lock{mutex_};
  shards_[group] = std::move(shard);
}

bool shard_directory::remove(group_id group, const shard_actor& shard) {
  std::unique_lock lock{mutex_};
  const auto found = shards_.find(group);
  if (found == shards_.end() || found->second != shard)
    return false;
  shards_.erase(found);
  return true;
}

shard_actor shard_directory::find(group_id group) const {
  std::shared_lock lock{mutex_};
  const auto found = shards_.find(group);
  return found == shards_.end() ? shard_actor{} : found->second;
}

std::vector<shard_actor> shard_directory::all() const {
  std::shared_lock lock{mutex_};
  std::vector<shard_actor> out;
  for (const auto& [group, shard] : shards_)
    out.push_back(shard);
  return out;
}

void shard_directory::clear() {
  std::unique_lock lock{mutex_};
  shards_.clear();
}

}  // namespace holdfast
