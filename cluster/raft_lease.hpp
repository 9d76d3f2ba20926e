#pragma once
// How long a leader may trust that nobody else leads. A follower that heard from a leader gives no
// vote for an election timeout, so a leader that a quorum heard from knows that nobody was elected
// until then. What counts is when the leader sent what they heard (its own clock, given back by
// them), not when their answer came.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "schemas/consensus.hpp"

namespace holdfast::consensus {

class quorum_contact {
public:
  void clear() { heard_.clear(); }

  /// The member has heard what was sent at that time.
  void heard(node_id member, std::uint64_t clock_ms) {
    auto& newest = heard_[member];
    newest = std::max(newest, clock_ms);
  }

  /// When what the member has heard last was sent; 0: never.
  std::uint64_t of(node_id member) const {
    const auto found = heard_.find(member);
    return found == heard_.end() ? 0 : found->second;
  }

  /// The newest time such that a majority of the voters has heard something sent then or later; 0:
  /// never.
  std::uint64_t at(const configuration& members, node_id self, std::uint64_t now_ms) const {
    std::vector<std::uint64_t> times;
    for (const auto& m : members.members) {
      if (m.as != role::voter)
        continue;
      times.push_back(m.id == self ? now_ms : of(m.id));
    }
    if (times.empty())
      return 0;
    const auto majority = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
    std::nth_element(times.begin(), majority, times.end(), std::greater<>{});
    return *majority;
  }

private:
  std::map<node_id, std::uint64_t> heard_;
};

}  // namespace holdfast::consensus
