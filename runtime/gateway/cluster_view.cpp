#include "runtime/gateway/cluster_view.hpp"

#include <algorithm>

namespace holdfast {

bool can_decide_without(const cluster_view& view, std::string_view node, absence what) {
  const auto is_there = [&](const std::string& name) {
    return name != node && std::any_of(view.nodes.begin(), view.nodes.end(), [&](const auto& one) {
             return one.id == name && one.membership != "removing" &&
                    (one.state == "up" || one.state == "cordoned");
           });
  };
  return std::all_of(view.partitions.begin(), view.partitions.end(), [&](const auto& partition) {
    std::size_t voters = 0;
    std::size_t there = 0;
    for (const auto& replica : partition.replicas)
      if (replica.votes && (what == absence::stopped || replica.node != node)) {
        ++voters;
        there += is_there(replica.node) ? 1U : 0U;
      }
    return there * 2 > voters;
  });
}

}  // namespace holdfast
