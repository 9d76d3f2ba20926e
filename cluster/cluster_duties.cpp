// What a member does again and again: follows who is a member, gives the groups that it leads the members and the leaders
// that they should have, and group 0's state what it should say.

#include <algorithm>

#include "cluster/cluster_member.hpp"
#include "runtime/host/log.hpp"

namespace holdfast {

namespace {

constexpr time_us clock_off_us_max = 1'000'000;
constexpr unsigned clock_off_checks_max = 3;  // one each second

}  // namespace

// ---- who is a member -------------------------------------------------------------------------------------------------

void cluster_member::read_members() {
  auto known = load_cluster_state(*p_.disk);
  HOLDFAST_ASSERT(known, "the members of the cluster cannot be read");
  const auto before = directory_->get();
  if (!directory_->take(std::move(*known)))
    return;
  for (const auto& [id, node] : *directory_->get()) {
    const auto was = before->find(id);
    if (node.certain && !node.removed && (was == before->end() || !was->second.certain))
      log::info("node-added", {{"node", node.name}, {"address", node.address}});
    if (node.removed && (was == before->end() || !was->second.removed))
      log::info("node-removing", {{"node", node.name}});
  }
}

bool cluster_member::is_leaving() const {
  const auto known = directory_->find(self_);
  return known && known->removed;
}

bool cluster_member::is_joining() const {
  const auto standings = log_->standings();
  return groups_held(standings, self_) < standings.size();
}

consensus::node_id cluster_member::peer_id(std::string_view name) const {
  const auto id = node_id_of(name);
  return id != self_ && directory_->find(id) ? id : 0;
}

/// A node that is removed is spoken to until no group has it.
void cluster_member::choose_peers() {
  const auto standings = log_->standings();
  std::map<std::string, std::string> wanted;
  for (const auto& [id, node] : *directory_->get())
    if (!node.removed || is_in_a_group(standings, id))
      wanted.emplace(node.name, node.address);
  if (wanted == peers_chosen_)
    return;
  link_->set_peers(wanted);
  peers_chosen_ = std::move(wanted);
}

wanted_members cluster_member::members_wanted() const {
  wanted_members out;
  for (const auto& [id, node] : *directory_->get())
    if (node.certain)
      out[id] = {node.address, node.removed, id == self_ || link_->connected(node.name),
                 owns_partitions(node.roles)};
  return out;
}

voter_plan cluster_member::voters_planned(const std::vector<group_standing>& standings) const {
  return plan_voters(standings, members_wanted(), directory_->settings().replication);
}

/// The groups that are led here get the members that group 0 names.
void cluster_member::change_members() {
  const auto standings = log_->standings();
  for (const auto& change :
       plan_changes(standings, self_, members_wanted(), voters_planned(standings)))
    log_->post([change](consensus::raft_host& host, std::uint64_t now_ms) {
      // Refused: not the leader any more, or not now.
      if (change.address.empty())
        (void)host.remove_member(now_ms, change.group, change.who);
      else
        (void)host.add_member(now_ms, change.group, {change.who, change.address, change.as});
    });
}

/// Group 0's state follows the configuration of its leader, and what each node says of its own. Said until it does.
void cluster_member::record_settings() {
  if (!log_->leads(catalog_group))
    return;
  const auto now = directory_->stated();
  if (now.nodes.empty())
    return;
  std::vector<member_change> wanted{set_replication{p_.config.replication}};
  std::vector<std::optional<unsigned>> newest;
  const auto heard = heard_.fresh(steady_ms());
  for (const auto& [id, node] : *directory_->get()) {
    if (!node.certain || node.removed)
      continue;
    const auto told = heard.find(node.name);
    if (id == self_) {
      wanted.emplace_back(change_roles{node.name, p_.roles});
      newest.emplace_back(p_.features.newest);
    } else if (told == heard.end()) {
      newest.emplace_back(std::nullopt);
    } else {
      wanted.emplace_back(change_roles{node.name, told->second.status.roles});
      newest.emplace_back(std::max(1U, told->second.status.feature_level));
    }
  }
  wanted.emplace_back(raise_feature_level{raised_level(feature_level_of(now.settings), newest)});
  for (auto& change : wanted) {
    const auto facts = decide(now, change);
    if (!facts) {
      if (refusals_logged_.insert(facts.error().context).second)
        log::warn("roles-not-taken", {{"why", facts.error().context}});
    } else if (!facts->empty()) {
      p_.change(std::move(change));
    }
  }
}

// ---- who leads -------------------------------------------------------------------------------------------------------

/// Off for some seconds: what a node hears after it was stopped is old, and says nothing of clocks.
void cluster_member::judge_clock() {
  const auto off = heard_.clock_off_us();
  clock_off_checks_ = off > clock_off_us_max ? clock_off_checks_ + 1 : 0;
  const bool is_off = clock_off_checks_ >= clock_off_checks_max;
  if (is_off == clock_is_off_)
    return;
  clock_is_off_ = is_off;
  if (is_off)
    log::error("clock-off", {{"off_us", std::to_string(off)},
                             {"why",
                              "this clock is not that of most nodes: it leads nothing until "
                              "it is right; check NTP"}});
  else
    log::info("clock-right", {});
}

leading_candidates cluster_member::candidates() const {
  leading_candidates out;
  const auto heard = heard_.fresh(steady_ms());
  for (const auto& [id, node] : *directory_->get()) {
    auto& one = out[id];
    one.leaving = node.removed || !owns_partitions(node.roles);
    const auto found = heard.find(node.name);
    if (found == heard.end())
      continue;
    const auto& told = found->second.status;
    one.able = !told.draining && !told.cordoned && owns_partitions(told.roles);
    one.leads = told.leaders.size();
    for (const auto& [group, index] : told.applied)
      one.applied[group] = index;
  }
  return out;
}

void cluster_member::give(const std::vector<leader_transfer>& what) {
  for (const auto& one : what)
    log_->post([one](consensus::raft_host& host, std::uint64_t at) {
      (void)host.transfer(at, one.group, one.to);  // refused: not the leader any more, or not now
    });
}

void cluster_member::spread_leaders() {
  const auto standings = log_->standings();
  give(spread(standings, self_, candidates(), voters_planned(standings)));
}

/// Asks peers to take what is led here, a few groups at a time. Gives how many of those somebody can take.
std::size_t cluster_member::lead_elsewhere() {
  const auto standings = log_->standings();
  if (std::none_of(standings.begin(), standings.end(), [](const auto& s) { return s.term != 0; }))
    return 0;
  auto able = candidates();
  for (auto& [id, one] : able)
    if (const auto name = directory_->name_of(id); !name || !link_->connected(*name))
      one.able = false;
  const auto away = give_away(standings, self_, able);
  give(begin_giving(standings, away));
  return away.size();
}

status cluster_member::set_cordoned(bool cordoned) {
  const auto table = directory_->get();
  if (std::count_if(table->begin(), table->end(),
                    [](const auto& one) { return !one.second.removed; }) == 1)
    return error{errc::conflict, "this node has no peers: no other could lead in its place"};
  cordoned_ = cordoned;
  log::info("node-cordoned", {{"node", p_.node}, {"cordoned", cordoned ? "yes" : "no"}});
  tell_status();  // before anybody gives it what it gives away
  if (cordoned)
    lead_elsewhere();
  return ok_status();
}

}  // namespace holdfast
