#include "runtime/net/client_pool.hpp"

#include <algorithm>
#include <utility>

namespace holdfast::net {

std::shared_ptr<client_connection> client_pool::release(origin_map::iterator origin,
                                                        idle_list::iterator each) {
  auto connection = std::move(each->connection);
  origin->second.erase(each);
  --total_;
  if (origin->second.empty())
    origins_.erase(origin);
  return connection;
}

void client_pool::put(const std::string& origin, std::shared_ptr<client_connection> connection,
                      clock::time_point now) {
  if (limits_.per_origin_max == 0 || limits_.total_max == 0) {
    connection->close();
    return;
  }
  connection->rest([this, origin, raw = connection.get()] { drop(origin, raw); });
  auto& list = origins_[origin];
  list.push_front({std::move(connection), now});
  ++total_;
  if (list.size() > limits_.per_origin_max) {
    list.back().connection->close();
    list.pop_back();
    --total_;
  }
  if (total_ > limits_.total_max)
    drop_oldest();
}

void client_pool::drop(const std::string& origin, const client_connection* connection) {
  const auto found = origins_.find(origin);
  if (found == origins_.end())
    return;
  const auto each = std::find_if(found->second.begin(), found->second.end(),
                                 [&](const idle& i) { return i.connection.get() == connection; });
  if (each != found->second.end())
    release(found, each)->close();
}

void client_pool::drop_oldest() {
  const auto oldest = std::min_element(
    origins_.begin(), origins_.end(),
    [](const auto& a, const auto& b) { return a.second.back().since < b.second.back().since; });
  release(oldest, std::prev(oldest->second.end()))->close();
}

void client_pool::expire(clock::time_point now) {
  for (auto origin = origins_.begin(); origin != origins_.end();) {
    auto& list = origin->second;
    while (!list.empty() && now - list.back().since >= limits_.expiry) {
      list.back().connection->close();
      list.pop_back();
      --total_;
    }
    origin = list.empty() ? origins_.erase(origin) : std::next(origin);
  }
}

void client_pool::clear() {
  for (auto& [origin, list] : std::exchange(origins_, {}))
    for (auto& each : list)
      each.connection->close();
  total_ = 0;
}

}  // namespace holdfast::net
