#include "cluster/request_table.hpp"

namespace holdfast {

request_ref request_table::add(answer_function tell, bool until_end, group_id group) {
  const std::uint64_t id = next_.fetch_add(1, std::memory_order_relaxed);
  auto& bucket = parts_[id % part_count];
  const std::lock_guard lock{bucket.mutex};
  bucket.requests.emplace(id, waiting{std::move(tell), until_end, group});
  return {node_, id};
}

void request_table::tell(const request_ref& to, answer what) {
  auto& bucket = parts_[to.id % part_count];
  answer_function tell;
  {
    const std::lock_guard lock{bucket.mutex};
    const auto found = bucket.requests.find(to.id);
    if (found == bucket.requests.end())
      return;
    if (found->second.until_end && std::holds_alternative<accepted_event>(what)) {
      tell = found->second.tell;  // the run's end is still to come
    } else {
      tell = std::move(found->second.tell);
      bucket.requests.erase(found);
    }
  }
  tell(std::move(what));
}

void request_table::lose(group_id group) {
  std::vector<answer_function> told;
  for (auto& bucket : parts_) {
    const std::lock_guard lock{bucket.mutex};
    for (auto at = bucket.requests.begin(); at != bucket.requests.end();) {
      if (at->second.group != group) {
        ++at;
        continue;
      }
      told.push_back(std::move(at->second.tell));
      at = bucket.requests.erase(at);
    }
  }
  for (const auto& tell : told)
    tell(error{errc::unknown_outcome, {}});
}

void request_table::end() {
  for (auto& bucket : parts_) {
    std::unordered_map<std::uint64_t, waiting>
      let_go;  // outside of the lock: closures do something when they end
    {
      const std::lock_guard lock{bucket.mutex};
      let_go.swap(bucket.requests);
    }
  }
}

std::size_t request_table::size() const {
  std::size_t out = 0;
  for (const auto& bucket : parts_) {
    const std::lock_guard lock{bucket.mutex};
    out += bucket.requests.size();
  }
  return out;
}

}  // namespace holdfast
