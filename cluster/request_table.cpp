#include "cluster/request_table.hpp"

namespace holdfast {

request_ref request_table::add(answer_function tell, bool until_end) {
  const std::uint64_t id = next_.fetch_add(1, std::memory_order_relaxed);
  auto& bucket = parts_[id % part_count];
  const std::lock_guard lock{bucket.mutex};
  bucket.requests.emplace(id, waiting{std::move(tell), until_end});
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

std::size_t request_table::size() const {
  std::size_t out = 0;
  for (const auto& bucket : parts_) {
    const std::lock_guard lock{bucket.mutex};
    out += bucket.requests.size();
  }
  return out;
}

}  // namespace holdfast
