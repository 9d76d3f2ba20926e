// What goes wrong, and what operators do meanwhile.

#include "tests/consensus/sim_world.hpp"

namespace holdfast::sim {

void world::trouble() {
  if (!troubled_)
    return;
  at(now_ + luck.between(20, 700), [this] { trouble(); });
  auto pick = luck.below(crash_weight_ + partition_weight_ + stop_weight_ + 1);
  if (pick < crash_weight_)
    crash_some();
  else if (pick < crash_weight_ + partition_weight_)
    partition();
  else if (pick < crash_weight_ + partition_weight_ + stop_weight_)
    stop_one();
  else if (luck.per_mille(250))
    replace_one();
}

void world::boot(node& n) {
  if (!n.up() && !n.gone() && n.id() != down_)
    n.boot();
}

void world::crash_some() {
  const bool all = luck.per_mille(100);
  count[count::all_crash] += all;
  std::vector<node*> victims;
  if (all) {
    for (auto& [id, n] : nodes_)
      victims.push_back(n.get());
  } else if (luck.per_mille(500)) {
    victims.push_back(leader_of(groups_[luck.below(groups_.size())]));
  } else {
    victims.push_back(random_up());
  }
  for (auto* n : victims) {
    if (!n || !n->up())
      continue;
    note("crash", n->id());
    ++count[count::crash];
    n->crash();
    const auto back = all ? luck.between(1, 60) : luck.per_mille(500) ? 5 : luck.between(20, 1200);
    at(now_ + back, [this, n] { boot(*n); });
  }
}

/// For a while; what is on its way when it begins is lost.
void world::partition() {
  std::vector<std::pair<node_id, node_id>> links;
  const auto ms = luck.between(50, 1500);
  const auto kind = luck.below(4);
  if (kind == 0) {  // two halves
    ++count[count::partition_full];
    std::set<node_id> side;
    for (const auto& [id, n] : nodes_)
      if (luck.per_mille(500))
        side.insert(id);
    for (const auto& [a, x] : nodes_)
      for (const auto& [b, y] : nodes_)
        if (side.contains(a) != side.contains(b))
          links.emplace_back(a, b);
  } else if (kind == 1) {  // one way
    ++count[count::partition_one_way];
    const auto* n = random_up();
    if (!n)
      return;
    const bool to = luck.per_mille(500);
    for (const auto& [other, x] : nodes_)
      if (other != n->id() && luck.per_mille(700))
        links.push_back(to ? std::pair{other, n->id()} : std::pair{n->id(), other});
  } else if (kind == 2) {
    fade();
    return;
  } else {  // a leader, or anybody, from all others
    ++count[count::node_isolated];
    const auto* n = leader_of(groups_[luck.below(groups_.size())]);
    n = n ? n : random_up();
    if (!n)
      return;
    for (const auto& [other, x] : nodes_)
      if (other != n->id()) {
        links.emplace_back(other, n->id());
        links.emplace_back(n->id(), other);
      }
    cut_since_[n->id()] = now_;
    at(now_ + ms, [this, id = n->id()] { cut_since_.erase(id); });
  }
  cut(std::move(links), ms);
}

/// A leader loses one follower after the other: the first may stand for election while the last still hears it.
void world::fade() {
  const auto* leader = leader_of(groups_[luck.below(groups_.size())]);
  if (!leader)
    return;
  ++count[count::leader_faded];
  std::uint64_t after = 0;
  for (const auto& [other, n] : nodes_) {
    if (other == leader->id())
      continue;
    at(now_ + after, [this, one = leader->id(), other] {
      if (troubled_)
        cut({{one, other}, {other, one}}, luck.between(300, 1200));
    });
    after += luck.between(20, 300);
  }
}

void world::cut(std::vector<std::pair<node_id, node_id>> links, std::uint64_t ms) {
  for (const auto& pair : links) {
    blocked_.insert(pair);
    note("cut", pair.first, pair.second);
  }
  at(now_ + ms, [this, links = std::move(links)] {
    for (const auto& pair : links)
      if (const auto found = blocked_.find(pair); found != blocked_.end())
        blocked_.erase(found);
    note("uncut");
  });
}

/// Before what it has just written is durable, perhaps.
void world::crash_soon(node_id who) {
  on_node(who, luck.below(sync_ms_max + 1), [this](node& n) {
    if (!troubled_)
      return;
    note("crash", n.id());
    ++count[count::crash];
    n.crash();
    at(now_ + luck.between(1, 30), [this, &n] { boot(n); });
  });
}

/// Now and then the successor cannot make itself heard.
void world::transfer(node& leader, group_id group, node_id to) {
  leader.transfer(group, to);
  if (!luck.per_mille(300))
    return;
  std::vector<std::pair<node_id, node_id>> links;
  for (const auto& [id, n] : nodes_)
    if (id != to)
      links.emplace_back(to, id);
  ++count[count::partition_one_way];
  cut(std::move(links), luck.between(100, 900));
}

void world::stop_one() {
  auto* n = luck.per_mille(500) ? leader_of(groups_[luck.below(groups_.size())]) : random_up();
  if (!n)
    return;
  ++count[count::stop];
  n->stop_until(now_ + luck.between(30, 1500));
  note("stop", n->id(), n->stopped_until());
}

/// Nobody's majority may hang on one node, whatever becomes of changes under way.
bool world::may_lose_one(bool settled) const {
  for (const auto group : groups_)
    for (const auto& [id, n] : nodes_) {
      if (n->gone())
        continue;
      if (!n->up() || n->changing(group))
        return false;
      const auto& log = n->host().find(group)->core().log();
      const auto& newest = log.configuration_newest();
      if (newest.index != 0 && (newest.members.voters() < 3 ||
                                (settled && newest.index > n->host().find(group)->applied_index())))
        return false;
    }
  return true;
}

/// One node is lost with its disk; a new one takes its place in all its groups.
void world::replace_one() {
  if (replaced_ || !may_lose_one(true))
    return;
  auto* lost = random_up();
  replaced_ = true;
  dead_ = lost->id();
  ++count[count::node_replaced];
  ++count[count::crash];
  note("lost for ever", dead_);
  lost->destroy();
  const node_id fresh = nodes_.rbegin()->first + 1;
  nodes_.emplace(fresh, std::make_unique<node>(*this, fresh));
  at_node(fresh).boot();
  tick(fresh);
}

void world::operate() {
  if (!troubled_)
    return;
  at(now_ + luck.between(50, 1500 / operate_weight_), [this] { operate(); });
  const auto group = groups_[luck.below(groups_.size())];
  auto* leader = leader_of(group);
  if (!leader || leader->changing(group))
    return;
  const auto members = leader->host().find(group)->core().members();
  std::vector<node_id> others;
  std::vector<node_id> strangers;
  for (const auto& m : members.members)
    if (m.id != leader->id())
      others.push_back(m.id);
  for (const auto& [id, n] : nodes_)
    if (!members.is_voter(id) && !n->gone())
      strangers.push_back(id);
  if (members.find(dead_) && luck.per_mille(700)) {
    // The dead one goes when there is one more to make up for it.
    if (members.voters() > 3 || strangers.empty())
      leader->remove_member(group, dead_);
    else
      leader->add_member(group, strangers[luck.below(strangers.size())]);
    return;
  }
  if (dead_ == 0 && !others.empty() && luck.per_mille(80)) {
    const auto who = others[luck.below(others.size())];
    count[count::standby_asked_of_voter] += members.is_voter(who);
    leader->add_member(group, who, consensus::role::standby);
    return;
  }
  const auto pick = luck.below(10);
  if (pick < 4 && !others.empty()) {
    transfer(*leader, group, others[luck.below(others.size())]);
  } else if (pick < 8 && !strangers.empty()) {
    leader->add_member(group, strangers[luck.below(strangers.size())],
                       luck.per_mille(100) ? consensus::role::standby : consensus::role::voter);
  } else if (dead_ == 0 && members.voters() > 1) {
    const auto self = luck.per_mille(150);
    if (self || !others.empty())
      leader->remove_member(group, self ? leader->id() : others[luck.below(others.size())]);
  }
}

}  // namespace holdfast::sim
