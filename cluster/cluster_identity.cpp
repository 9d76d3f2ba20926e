#include "cluster/cluster_identity.hpp"

#include <random>

#include "cluster/raft_store.hpp"
#include "persistence/keys.hpp"
#include "persistence/log_state.hpp"
#include "runtime/core/feature_levels.hpp"

namespace holdfast {

namespace {

// Of the node itself, in family::meta.
constexpr std::string_view folder_key = "folder";
constexpr std::string_view cluster_key = "cluster";
constexpr std::string_view name_key = "node";
constexpr std::string_view formed_key = "peers";   // names of those that formed the cluster
constexpr std::string_view joined_key = "joined";  // members when it joined; empty: not told yet
constexpr std::string_view removed_key = "removed";
constexpr std::string_view partitions_key = "partitions";

std::string random_id() {
  std::random_device chance;
  std::string out;
  for (int i = 0; i < 4; ++i) {
    static constexpr char digits[] = "0123456789abcdef";
    auto bits = chance();
    for (int digit = 0; digit < 8; ++digit, bits >>= 4)
      out += digits[bits & 15];
  }
  return out;
}

std::string folder_key_of(std::string_view peer) { return "folder-of/" + std::string{peer}; }

using names_to_addresses = std::map<std::string, std::string>;

std::string names_text(const names_to_addresses& nodes) {
  std::string out;
  for (const auto& [name, address] : nodes)
    out += name + ' ';
  return out;
}

std::string members_text(const names_to_addresses& nodes) {
  std::string out;
  for (const auto& [name, address] : nodes)
    out += name + ' ' + address + '\n';
  return out;
}

names_to_addresses members_of(std::string_view text) {
  names_to_addresses out;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (const auto space = line.find(' '); space != std::string_view::npos)
      out.emplace(line.substr(0, space), line.substr(space + 1));
  }
  return out;
}

/// The marks of a folder; those that are absent are empty.
struct folder_marks {
  std::string cluster;
  std::string node;
  std::string folder;
  std::string formed;
  std::optional<std::string> joined;
  bool removed = false;
};
result<folder_marks> read_marks(const reader& disk) {
  error failed;
  const auto mark = [&](std::string_view name) -> std::optional<std::string> {
    auto found = disk.get(family::meta, keys::node(name));
    if (found)
      return std::move(*found);
    failed = found.error();
    return std::nullopt;
  };
  folder_marks out;
  out.cluster = mark(cluster_key).value_or("");
  out.node = mark(name_key).value_or("");
  out.folder = mark(folder_key).value_or("");
  out.formed = mark(formed_key).value_or("");
  out.joined = mark(joined_key);
  out.removed = mark(removed_key).has_value();
  if (failed.code != errc::ok)
    return failed;
  return out;
}

/// What holds of any folder of a cluster's node.
status check_owner(const folder_marks& is, const std::string& cluster, const std::string& node) {
  if (is.removed)
    return error{errc::gone, removed_notice(is.node.empty() ? node : is.node)};
  if (!is.cluster.empty() && is.cluster != cluster)
    return error{errc::conflict, "this data folder belongs to the cluster `" + is.cluster +
                                   "`, not to `" + cluster +
                                   "`; see `cluster.name` and `data` in the configuration"};
  if (!is.node.empty() && is.node != node)
    return error{errc::conflict, "this data folder belongs to the node `" + is.node +
                                   "`, not to `" + node +
                                   "`; see `node` and `data` in the configuration"};
  return ok_status();
}

result<bool> was_used_alone(const reader& disk) {
  const auto alone = read_log_state(disk, catalog_group);
  if (!alone)
    return alone.error();
  return alone->term != 0;
}

result<bool> has_log(const reader& disk) {
  const auto hard = disk.get(family::meta, keys::hard_state(catalog_group));
  if (!hard)
    return hard.error();
  return hard->has_value();
}

/// Whether the groups have begun, and whoever formed the cluster is recorded in it: then the configuration need not
/// name them any more.
result<bool> is_on_its_own_feet(const reader& disk) {
  const auto begun = has_log(disk);
  if (!begun || !*begun)
    return begun;
  const auto known = load_membership(disk);
  if (!known)
    return known.error();
  return !known->empty();
}

status mark_new_folder(store& disk, const cluster_config& config, const std::string& node,
                       cluster_identity& out) {
  const auto alone = was_used_alone(disk);
  if (!alone)
    return alone.error();
  if (*alone)
    return error{errc::conflict,
                 "this data folder was made by a node alone; `holdfast cluster init --config FILE` "
                 "makes it the first member of a cluster"};
  if (!config.peers.contains(node))
    return error{errc::conflict,
                 "this data folder belongs to no cluster yet; `holdfast cluster join --config FILE "
                 "--address URL` makes the node a member of a running one, and nodes that form one "
                 "name each other under `cluster.peers`"};
  write_set mark;
  out.folder = put_former(config, node, mark);
  out.may_form = true;
  return disk.write(mark, true);
}

status check_peers_of_former(const reader& disk, const folder_marks& is, cluster_identity& out) {
  const auto grown = is_on_its_own_feet(disk);
  if (!grown)
    return grown.error();
  out.may_form = !*grown;
  if (out.may_form && !is.formed.empty() && is.formed != names_text(out.told))
    return error{errc::conflict,
                 "`cluster.peers` names other nodes than those that are forming the cluster ( " +
                   is.formed + "): write these; others join once it runs"};
  return ok_status();
}

}  // namespace

status check_not_of_cluster(const reader& disk) {
  const auto is = read_marks(disk);
  if (!is)
    return is.error();
  if (is->removed)
    return error{errc::gone, removed_notice(is->node)};
  if (!is->cluster.empty())
    return error{errc::conflict,
                 "this data folder belongs to a node of the cluster `" + is->cluster +
                   "`; start it with `cluster.peers` or `cluster.advertise`, as before"};
  return ok_status();
}

result<cluster_identity> open_identity(store& disk, const cluster_config& config,
                                       const std::string& node) {
  const auto is = read_marks(disk);
  if (!is)
    return is.error();
  if (auto right = check_owner(*is, config.name, node); !right)
    return right.error();
  cluster_identity out;
  out.told = config.peers;
  out.told.emplace(node, config.advertise);
  out.folder = is->folder;
  if (is->folder.empty()) {
    if (auto marked = mark_new_folder(disk, config, node, out); !marked)
      return marked.error();
  } else if (is->joined) {
    if (is->joined->empty())
      return error{errc::conflict,
                   "this node has begun to join and was not told that it is a member; run "
                   "`holdfast cluster join` again"};
    for (auto& [name, address] : members_of(*is->joined))
      out.told.emplace(name, address);
  } else if (auto right = check_peers_of_former(disk, *is, out); !right) {
    return right.error();
  }
  const auto first = keys::node(folder_key_of({}));
  const auto at = disk.scan(family::meta, first, keys::node("folder-of0"));  // '0' comes after '/'
  for (; at->valid(); at->next())
    out.folders.emplace(at->key().substr(first.size()), at->value());
  if (auto walked = at->state(); !walked)
    return walked.error();
  return out;
}

void put_folder_of(std::string_view peer, const std::string& folder, write_set& out) {
  out.put(family::meta, keys::node(folder_key_of(peer)), folder);
}

void put_removed(write_set& out) { out.put(family::meta, keys::node(removed_key), "1"); }

net::link_verdict refusal_of(const net::link_hello& peer, const admission& at,
                             const known_node* known, const std::string& folder,
                             bool is_in_a_group) {
  if (known && known->removed && !is_in_a_group)
    return {removed_notice(peer.node), true};
  if (auto wrong = level_problem({peer.feature_oldest, peer.feature_newest}, at.feature_level);
      !wrong.empty())
    return {wrong};
  if (peer.partitions != at.partitions)
    return {"it has " + std::to_string(peer.partitions) + " partitions, " + at.node + " has " +
            std::to_string(at.partitions) +
            "; write the same `cluster.partitions` and start it with an empty data folder"};
  if (!known)
    return {"`" + peer.node + "` is not among the members that " + at.node +
            " knows; `holdfast cluster join` makes it one"};
  const auto& expected = known->folder.empty() ? folder : known->folder;
  if (!expected.empty() && expected != peer.folder)
    return {"`" + peer.node +
            "` was a member with another data folder, and has forgotten what it promised; put its "
            "folder back, or add the node under a new name"};
  return {};
}

// ---- what `holdfast cluster` does to a stopped folder ----------------------------------------------------------------

result<std::string> begin_joining(store& disk, const std::string& cluster, const std::string& node,
                                  std::uint16_t partitions) {
  const auto is = read_marks(disk);
  if (!is)
    return is.error();
  const bool was_refused =
    is->joined && is->joined->empty();  // or not answered: nothing is settled
  const auto right = check_owner(*is, cluster, node);
  if (!right && !(was_refused && !is->removed))
    return right.error();
  const auto count = disk.get(family::meta, keys::node(partitions_key));
  if (!count)
    return count.error();
  if (right && is->joined && *count && **count == std::to_string(partitions))
    return is->folder;
  if (!was_refused && (!is->folder.empty() || *count))
    return error{errc::conflict,
                 "the data folder is in use already; a node joins with an empty one"};
  auto folder = random_id();
  write_set mark;
  mark.put(family::meta, keys::node(partitions_key), std::to_string(partitions));
  mark.put(family::meta, keys::node(cluster_key), cluster);
  mark.put(family::meta, keys::node(name_key), node);
  mark.put(family::meta, keys::node(folder_key), folder);
  mark.put(family::meta, keys::node(joined_key), {});
  if (auto written = disk.write(mark, true); !written)
    return written.error();
  return folder;
}

status finish_joining(store& disk, const std::map<std::string, std::string>& members) {
  write_set mark;
  mark.put(family::meta, keys::node(joined_key), members_text(members));
  return disk.write(mark, true);
}

std::string put_former(const cluster_config& config, const std::string& node, write_set& out) {
  auto folder = random_id();
  out.put(family::meta, keys::node(cluster_key), config.name);
  out.put(family::meta, keys::node(name_key), node);
  out.put(family::meta, keys::node(formed_key), names_text(config.peers));
  out.put(family::meta, keys::node(folder_key), folder);
  return folder;
}

consensus::configuration first_members(const std::map<std::string, std::string>& nodes) {
  std::map<consensus::node_id, std::string> by_id;
  for (const auto& [name, at] : nodes)
    by_id.emplace(node_id_of(name), at);
  consensus::configuration out;
  for (const auto& [id, at] : by_id)
    out.members.push_back({id, at, consensus::role::voter});
  return out;
}

/// The terms of a node alone stay behind: the only voter elects itself in a new one.
std::uint64_t begin_log_after(group_id group, const log_state& done,
                              const consensus::configuration& members, write_set& out) {
  // libraft takes the entry of a snapshot at index 1 for one that it can send, and never offers the snapshot.
  constexpr std::uint64_t snapshot_index_min = 2;
  consensus::log_write first;
  first.group = group;
  consensus::stored_range range;
  const auto index = done.applied == 0 ? 0 : std::max(done.applied, snapshot_index_min);
  if (index == 0) {
    auto fresh = consensus::new_group(members);
    first.hard = consensus::hard_state{std::max(done.term, fresh.hard.term), 0};
    first.first = fresh.first_index;
    first.entries = std::move(fresh.entries);
    consensus::put_applied(group, 0, 0, out);
  } else {
    first.hard = consensus::hard_state{done.term, 0};
    first.snapshot = consensus::snapshot_metadata{index, done.term, members, index};
    range.log = {index + 1, index};
    consensus::put_applied(group, index, done.term, out);
  }
  consensus::erase_budget none{0};
  consensus::put(first, range, out, none);
  return index;
}

status make_first_member(store& disk, const std::string& cluster, const std::string& node,
                         const std::string& address) {
  const auto is = read_marks(disk);
  if (!is)
    return is.error();
  if (is->removed)
    return error{errc::gone, removed_notice(is->node)};
  if (!is->folder.empty())
    return error{errc::conflict,
                 "this data folder belongs to a node of the cluster `" + is->cluster + "` already"};
  const auto count = disk.get(family::meta, keys::node(partitions_key));
  if (!count)
    return count.error();
  const auto alone = was_used_alone(disk);
  if (!alone)
    return alone.error();
  if (!*count || !*alone)
    return error{
      errc::not_found,
      "no node has run with this data folder; a new node needs no `cluster init`: name it "
      "alone under `cluster.peers` and start it"};
  const auto members = first_members({{node, address}});
  write_set writes;
  for (std::uint32_t group = 0; group <= std::stoul(**count); ++group) {
    const auto done = read_log_state(disk, static_cast<group_id>(group));
    if (!done)
      return done.error();
    begin_log_after(static_cast<group_id>(group), *done, members, writes);
  }
  writes.put(family::meta, keys::node(cluster_key), cluster);
  writes.put(family::meta, keys::node(name_key), node);
  writes.put(family::meta, keys::node(formed_key), node + ' ');
  writes.put(family::meta, keys::node(folder_key), random_id());
  return disk.write(writes, true);
}

}  // namespace holdfast
