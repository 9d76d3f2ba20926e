#pragma once

#include <chrono>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "runtime/net/client_connection.hpp"

namespace holdfast::net {

/// Idle connections per origin (`https://host:port`), bounded per origin and in total, the least
/// recently used given up first. Io thread only.
class client_pool {
public:
  using clock = std::chrono::steady_clock;

  struct limits {
    size_t per_origin_max = 128;
    size_t total_max = 512;
    std::chrono::milliseconds expiry{50'000};
  };

  explicit client_pool(limits bounds) : limits_(bounds) {}
  ~client_pool() { clear(); }

  /// The connection used last, if it has been idle for less than `idle_max` and `fits` says yes.
  template <class Fits>
  std::shared_ptr<client_connection> take(const std::string& origin, clock::time_point now,
                                          std::chrono::milliseconds idle_max, Fits fits) {
    const auto found = origins_.find(origin);
    if (found == origins_.end())
      return nullptr;
    for (auto each = found->second.begin(); each != found->second.end(); ++each)
      if (now - each->since < idle_max && fits(*each->connection))
        return release(found, each);
    return nullptr;
  }

  void put(const std::string& origin, std::shared_ptr<client_connection> connection,
           clock::time_point now);

  /// Closes what has been idle for too long.
  void expire(clock::time_point now);
  void clear();
  bool empty() const noexcept { return total_ == 0; }

private:
  struct idle {
    std::shared_ptr<client_connection> connection;
    clock::time_point since;
  };
  using idle_list = std::list<idle>;  // used last first
  using origin_map = std::map<std::string, idle_list>;

  std::shared_ptr<client_connection> release(origin_map::iterator origin, idle_list::iterator each);
  void drop(const std::string& origin, const client_connection* connection);
  void drop_oldest();

  limits limits_;
  origin_map origins_;
  size_t total_ = 0;
};

}  // namespace holdfast::net
