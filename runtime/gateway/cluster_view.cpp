#include "runtime/gateway/cluster_view.hpp"

#include <algorithm>

namespace holdfast {

namespace {

const cluster_node_view* node_of(const cluster_view& view, std::string_view name) {
  const auto found = std::find_if(view.nodes.begin(), view.nodes.end(),
                                  [&](const auto& one) { return one.id == name; });
  return found == view.nodes.end() ? nullptr : &*found;
}

/// It votes, and a standby will before it ceases to: whichever it is, it is there.
bool is_replaced(const cluster_view& view, const group_view& partition, std::string_view node) {
  bool votes = false;
  std::size_t standbys = 0;
  std::size_t there = 0;
  for (const auto& replica : partition.replicas) {
    votes = votes || (replica.node == node && replica.votes);
    const auto* one = node_of(view, replica.node);
    if (replica.votes || replica.node == node || !one || !owns_partitions(one->roles))
      continue;
    ++standbys;
    there += one->membership == "member" && one->state == "up" ? 1U : 0U;
  }
  return votes && standbys != 0 && there == standbys;
}

}  // namespace

bool can_decide_without(const cluster_view& view, std::string_view node, absence what) {
  const auto is_there = [&](std::string_view name) {
    const auto* one = node_of(view, name);
    return name != node && one && one->membership != "removing" &&
           (one->state == "up" || one->state == "cordoned");
  };
  return std::all_of(view.partitions.begin(), view.partitions.end(), [&](const auto& partition) {
    std::size_t voters = 0;
    std::size_t there = 0;
    for (const auto& replica : partition.replicas)
      if (replica.votes && (what == absence::stopped || replica.node != node)) {
        ++voters;
        there += is_there(replica.node) ? 1U : 0U;
      }
    if (what == absence::removed && is_replaced(view, partition, node)) {
      ++voters;
      ++there;
    }
    return there * 2 > voters;
  });
}

}  // namespace holdfast
