#include "cluster/member_directory.hpp"

#include <algorithm>

namespace holdfast {

consensus::node_id node_id_of(std::string_view name) {
  return std::max<std::uint64_t>(1, hash_of(agent_name{"node", std::string{name}}));
}

member_directory::member_directory(std::string self, std::map<std::string, std::string> told)
  : self_(std::move(self)), told_(std::move(told)) {
  rebuild();
}

/// A state without this node is older than its joining: then what it was told counts as well.
bool member_directory::rebuild() {
  node_table next;
  for (const auto& [name, node] : stated_.nodes)
    next[node_id_of(name)] = {name, node.address, node.folder, node.removed, true, node.roles};
  const auto add = [&](const std::map<std::string, std::string>& more) {
    for (const auto& [name, address] : more)
      next.try_emplace(node_id_of(name), known_node{name, address, {}, false, false, {}});
  };
  if (!stated_.nodes.contains(self_))
    add(told_);
  add(heard_);
  if (table_ && *table_ == next)
    return false;
  table_ = std::make_shared<const node_table>(std::move(next));
  return true;
}

std::shared_ptr<const node_table> member_directory::get() const {
  const std::lock_guard lock{mutex_};
  return table_;
}

std::optional<known_node> member_directory::find(consensus::node_id id) const {
  const auto table = get();
  const auto found = table->find(id);
  return found == table->end() ? std::nullopt : std::optional{found->second};
}

std::optional<std::string> member_directory::name_of(consensus::node_id id) const {
  auto known = find(id);
  return known ? std::optional{std::move(known->name)} : std::nullopt;
}

bool member_directory::take(cluster_state stated) {
  const std::lock_guard lock{mutex_};
  const bool is_set = stated.settings != stated_.settings;
  stated_ = std::move(stated);
  return rebuild() || is_set;
}

cluster_state member_directory::stated() const {
  const std::lock_guard lock{mutex_};
  return stated_;
}

cluster_settings member_directory::settings() const {
  const std::lock_guard lock{mutex_};
  return stated_.settings;
}

bool member_directory::hear(const std::vector<link::known_member>& said) {
  const std::lock_guard lock{mutex_};
  bool is_new = false;
  for (const auto& node : said)
    if (!stated_.nodes.contains(node.name) && heard_.size() < members_max)
      is_new = heard_.emplace(node.name, node.address).second || is_new;
  return is_new && rebuild();
}

std::vector<link::known_member> member_directory::certain() const {
  std::vector<link::known_member> out;
  const auto table = get();
  for (const auto& [id, node] : *table)
    if (node.certain && !node.removed)
      out.push_back({node.name, node.address});
  return out;
}

}  // namespace holdfast
