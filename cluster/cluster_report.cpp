// What a member of a cluster says of it: to people, and to metrics.

#include <algorithm>

#include "cluster/cluster_member.hpp"
#include "runtime/host/log.hpp"

namespace holdfast {

namespace {

/// Those that were removed are shown until no group has them.
bool is_shown(const std::vector<group_standing>& standings, consensus::node_id id,
              const known_node& node) {
  return !node.removed || is_in_a_group(standings, id);
}

}  // namespace

bool cluster_member::has_leaders() const {
  for (std::uint32_t group = 0; group <= p_.partitions; ++group)
    if (log_->leader_of(static_cast<group_id>(group)) == 0)
      return false;
  return true;
}

void cluster_member::measure(std::vector<metric_value>& out) const {
  std::size_t led = 0;
  std::size_t without = 0;
  for (const auto& s : log_->standings()) {
    led += s.term != 0 ? 1U : 0U;
    without += s.leader == 0 ? 1U : 0U;
  }
  const auto table = directory_->get();
  const auto up = std::count_if(table->begin(), table->end(), [&](const auto& one) {
    return one.first != self_ && link_->connected(one.second.name);
  });
  const auto add = [&](const char* name, auto value) {
    out.push_back({name, {}, static_cast<double>(value)});
  };
  add("holdfast_cluster_groups_led", led);
  add("holdfast_cluster_groups_without_leader", without);
  add("holdfast_cluster_peers_up", up);
  add("holdfast_cluster_snapshots_installed_total", log_->snapshots_installed());
  add("holdfast_cluster_requests_away", others_->waiting());
  add("holdfast_cluster_definitions_late_total", definitions_.late());
  if (const auto expires_s = certificate_expires_s())
    add("holdfast_link_certificate_expires_seconds", *expires_s);
}

cluster_node_view cluster_member::view_of(consensus::node_id id, const known_node& node,
                                          const std::vector<group_standing>& standings,
                                          const peers_heard::table& heard) const {
  cluster_node_view out;
  out.id = node.name;
  out.address = node.address;
  out.roles = node.roles;
  out.replicas = static_cast<std::uint32_t>(groups_held(standings, id));
  out.membership = node.removed                      ? "removing"
                   : out.replicas < standings.size() ? "joining"
                                                     : "member";
  out.leaders = static_cast<std::uint32_t>(std::count_if(
    standings.begin(), standings.end(), [&](const auto& s) { return s.leader == id; }));
  const auto found = heard.find(node.name);
  if (id == self_) {
    out.state = leaving_ || p_.draining() ? "draining" : cordoned_ ? "cordoned" : "up";
    out.version = p_.version;
  } else if (found == heard.end()) {
    out.state = link_->connected(node.name) ? "up" : "down";
  } else {
    const auto& told = found->second.status;
    out.state = told.draining ? "draining" : told.cordoned ? "cordoned" : "up";
    out.version = told.version;
  }
  return out;
}

/// Says when a node has come into all groups, or out of all of them. One that has is a member, also when it ceases to vote
/// in a group and is out of it for a moment.
void cluster_member::log_members() {
  std::map<std::string, std::string> now;
  const auto standings = log_->standings();
  for (const auto& [id, node] : *directory_->get())
    if (node.certain)
      now.emplace(node.name, !is_shown(standings, id, node)
                               ? "removed"
                               : view_of(id, node, standings, {}).membership);
  for (auto& [name, state] : now)
    if (const auto was = memberships_logged_.find(name);
        was != memberships_logged_.end() && was->second != state) {
      if (was->second == "member" && state == "joining")
        state = "member";
      else if (state == "member")
        log::info("node-joined", {{"node", name}});
      else if (state == "removed")
        log::info("node-left", {{"node", name}});
    }
  memberships_logged_ = std::move(now);
}

cluster_view cluster_member::view() const {
  cluster_view out;
  out.name = p_.config.name;
  out.feature_level = feature_level_of(directory_->settings());
  const auto standings = log_->standings();
  const auto heard = heard_.all();
  const auto table = directory_->get();
  const auto name_of = [&](consensus::node_id id) -> std::string {
    const auto found = table->find(id);
    return found == table->end() ? std::string{} : found->second.name;
  };
  const auto wanted = members_wanted();
  const auto plan = plan_voters(standings, wanted, directory_->settings().replication);
  for (const auto& s : standings) {
    group_view group;
    group.settled = is_settled(s, wanted, plan);
    group.id = s.group;
    group.term = std::max(s.term, heard_.term_of(s.group));
    group.leader = name_of(s.leader);
    std::uint64_t newest = s.applied;
    for (const auto& member : s.members.members) {
      replica_view replica{name_of(member.id), 0, 0, member.as == consensus::role::voter};
      if (member.id == self_)
        replica.applied = s.applied;
      else if (const auto found = heard.find(replica.node); found != heard.end())
        for (const auto& [of, index] : found->second.status.applied)
          if (of == s.group)
            replica.applied = index;
      newest = std::max(newest, replica.applied);
      if (replica.node.empty())
        replica.node = std::to_string(member.id);
      group.replicas.push_back(std::move(replica));
    }
    for (auto& replica : group.replicas)
      replica.lag = newest - replica.applied;
    out.partitions.push_back(std::move(group));
  }
  for (const auto& [id, node] : *table)
    if (is_shown(standings, id, node))
      out.nodes.push_back(view_of(id, node, standings, heard));
  std::sort(out.nodes.begin(), out.nodes.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  return out;
}

}  // namespace holdfast
