#include "runtime/core/membership.hpp"

#include <algorithm>

#include "persistence/keys.hpp"
#include "schemas/codec.hpp"

namespace holdfast {

namespace {

using decided = result<std::vector<fact>>;

decided decide_change(const cluster_state& state, const form_cluster& wanted) {
  std::vector<fact> out;
  if (state.nodes.empty())
    for (const auto& [name, address] : wanted.nodes)
      out.push_back(node_added{name, address, {}});
  return out;
}

decided decide_change(const cluster_state& state, const add_node& wanted) {
  const auto& now = state.nodes;
  if (const auto known = now.find(wanted.name); known != now.end()) {
    const auto& node = known->second;
    if (node.removed)
      return error{errc::conflict, removed_notice(wanted.name)};
    if (!wanted.folder.empty() && node.folder == wanted.folder && node.address == wanted.address)
      return std::vector<fact>{};
    return error{errc::conflict, "there is a node `" + wanted.name + "` at " + node.address +
                                   "; take a name that was never used in this cluster"};
  }
  for (const auto& [name, node] : now)
    if (!node.removed && node.address == wanted.address)
      return error{errc::conflict, "`" + name + "` has the address " + wanted.address};
  if (count_members(now) >= members_max)
    return error{errc::conflict, "a cluster has at most " + std::to_string(members_max) + " nodes"};
  return std::vector<fact>{node_added{wanted.name, wanted.address, wanted.folder, wanted.roles}};
}

decided decide_change(const cluster_state& state, const remove_node& wanted) {
  const auto& now = state.nodes;
  const auto known = now.find(wanted.name);
  if (known == now.end())
    return error{errc::not_found,
                 "no node `" + wanted.name + "`; `holdfast node list` shows those there are"};
  const auto& node = known->second;
  if (node.removed)
    return std::vector<fact>{};
  if (count_members(now) == 1)
    return error{errc::conflict, "`" + wanted.name + "` is the last node of the cluster"};
  if (owns_partitions(node.roles) && count_other_workers(now, wanted.name) == 0)
    return error{errc::conflict, "`" + wanted.name + "` is the last node that owns partitions"};
  return std::vector<fact>{node_removed{node.name, node.address, node.folder}};
}

decided decide_change(const cluster_state& state, const change_roles& wanted) {
  const auto* node = find_member(state.nodes, wanted.name);
  if (node == nullptr)
    return error{errc::not_found, "no node `" + wanted.name + "`"};
  if (node->roles == wanted.roles)
    return std::vector<fact>{};
  if (!owns_partitions(wanted.roles) && count_other_workers(state.nodes, wanted.name) == 0)
    return error{errc::conflict, "`" + wanted.name +
                                   "` is the last node that owns partitions: it stays one whatever "
                                   "its `roles` say, until another has the role `worker`"};
  return std::vector<fact>{node_changed{node->name, node->address, node->folder, wanted.roles}};
}

decided decide_change(const cluster_state& state, const set_replication& wanted) {
  if (state.settings.replication == wanted.voters)
    return std::vector<fact>{};
  return std::vector<fact>{cluster_changed{wanted.voters, state.settings.feature_level}};
}

decided decide_change(const cluster_state& state, const raise_feature_level& wanted) {
  if (wanted.level <= feature_level_of(state.settings))
    return std::vector<fact>{};
  return std::vector<fact>{cluster_changed{state.settings.replication, wanted.level}};
}

}  // namespace

result<membership> load_membership(const reader& from) {
  membership out;
  const auto range = keys::members();
  const auto at = from.scan(family::meta, range.lower, range.upper);
  for (; at->valid(); at->next()) {
    auto node = codec::decode_node_record(at->value());
    if (!node)
      return error{node.error().code, "a member of the cluster: " + node.error().context};
    auto name = node->name;
    out.emplace(std::move(name), std::move(*node));
  }
  if (auto walked = at->state(); !walked)
    return walked.error();
  return out;
}

result<cluster_state> load_cluster_state(const reader& from) {
  cluster_state out;
  auto nodes = load_membership(from);
  if (!nodes)
    return nodes.error();
  out.nodes = std::move(*nodes);
  const auto stored = from.get(family::meta, keys::cluster_settings());
  if (!stored)
    return stored.error();
  if (*stored) {
    const auto settings = codec::decode_cluster_settings(**stored);
    if (!settings)
      return error{settings.error().code,
                   "the settings of the cluster: " + settings.error().context};
    out.settings = *settings;
  }
  return out;
}

const node_record* find_member(const membership& all, std::string_view name) {
  const auto found = all.find(name);
  return found == all.end() || found->second.removed ? nullptr : &found->second;
}

std::size_t count_members(const membership& all) {
  return static_cast<std::size_t>(
    std::count_if(all.begin(), all.end(), [](const auto& one) { return !one.second.removed; }));
}

std::size_t count_other_workers(const membership& all, std::string_view name) {
  return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [&](const auto& one) {
    return one.first != name && !one.second.removed && owns_partitions(one.second.roles);
  }));
}

decided decide(const cluster_state& now, const member_change& wanted) {
  return std::visit([&](const auto& one) { return decide_change(now, one); }, wanted);
}

bool concerns_membership(const fact& f) noexcept {
  return std::visit(
    []<class T>(const T&) {
      return std::is_same_v<T, node_added> || std::is_same_v<T, node_removed> ||
             std::is_same_v<T, node_changed> || std::is_same_v<T, cluster_changed>;
    },
    f);
}

std::string removed_notice(std::string_view node) {
  return "`" + std::string{node} +
         "` was removed from the cluster, for good; to come back, the machine takes a new name and "
         "an empty data folder, and joins";
}

}  // namespace holdfast
