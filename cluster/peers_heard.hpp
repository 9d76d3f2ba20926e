#pragma once
// What peers said of themselves lately. Hints: nothing that must be right is decided by them.

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "schemas/link.hpp"

namespace holdfast {

/// Thread-safe.
class peers_heard {
public:
  struct one {
    link::node_status status;
    std::int64_t at_ms = 0;
    time_us ahead_us = 0;  ///< its wall clock, of ours
  };
  using table = std::map<std::string, one, std::less<>>;

  void take(std::string_view node, link::node_status&& said, std::int64_t now_ms, time_us wall_now);
  void forget(std::string_view node);

  table all() const;                       ///< of every node that is connected
  table fresh(std::int64_t now_ms) const;  ///< and was heard within some seconds
  std::uint64_t term_of(group_id) const;   ///< the newest in which a peer said that it leads
  /// All that were heard lately have the definitions of that index of group 0.
  bool have_definitions(std::uint64_t index, std::int64_t now_ms) const;
  /// How far this node's clock is from the median of all; 0 with fewer than three nodes.
  time_us clock_off_us() const;

private:
  mutable std::mutex mutex_;
  table heard_;
  std::map<group_id, std::uint64_t> terms_;
};

}  // namespace holdfast
