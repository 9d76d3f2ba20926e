// What a node does when the log tells something: shards begin and end, owners and followers hear of records.

#include <algorithm>

#include "cluster/node_impl.hpp"
#include "runtime/core/membership.hpp"
#include "runtime/host/log.hpp"

namespace holdfast {

void node::impl::leading(group_id group, std::uint64_t term) {
  if (group == catalog_group)
    return lead_catalog(term);
  auto shard = spawn_shard(*actors, services, group, term);
  for (const auto& one : std::exchange(crashed[group], {}))
    caf::anon_send(shard, atom::crash_v, crash_report{one.agent, one.run});
  shards.put(group, std::move(shard));
}

void node::impl::committed(group_id group, std::uint64_t, std::uint64_t index,
                           std::vector<std::shared_ptr<const turn_record>> records) {
  if (group == catalog_group) {
    see_members(records);
    caf::anon_send(catalog_owner(), atom::commit_v, committed_group{index, std::move(records)});
  } else if (auto shard = shards.find(group)) {
    caf::anon_send(shard, atom::commit_v, committed_group{index, std::move(records)});
  }
}

void node::impl::cut(group_id group, std::uint64_t epoch, std::uint64_t index) {
  backups->cut(group, epoch, index);
}

void node::impl::followed(group_id group, std::uint64_t index,
                          std::vector<std::shared_ptr<const turn_record>> records) {
  const auto defines = [](const fact& f) { return std::holds_alternative<definition_applied>(f); };
  if (group == catalog_group)
    see_members(records);
  bool redefined = false;
  for (auto& record : records) {
    redefined = redefined || (group == catalog_group &&
                              std::any_of(record->facts.begin(), record->facts.end(), defines));
    feed.publish(std::move(record));
  }
  if (redefined)
    read_definitions_of(index);
}

void node::impl::replaced(group_id group) {
  backups->replaced(group);
  front->state_replaced(group);
  if (group != catalog_group)
    return;
  member->read_members();
  read_definitions_of(member->log_applied(catalog_group));
}

void node::impl::lost(group_id group, std::uint64_t, errc) {
  if (group == catalog_group) {
    const std::lock_guard lock{catalogue_mutex};
    caf::anon_send(std::exchange(catalogue, catalog_actor{}), atom::lost_v);
  } else if (auto shard = shards.find(group)) {
    shards.remove(group, shard);
    caf::anon_send(shard, atom::lost_v);
  }
  requests.lose(group);
}

void node::impl::lead_catalog(std::uint64_t term) {
  const std::lock_guard lock{catalogue_mutex};
  catalogue = spawn_catalog(*actors, services, term);
  if (member)
    caf::anon_send(catalogue, atom::member_v, member_request{member->formed_by(), {}, nullptr});
}

void node::impl::see_members(const std::vector<std::shared_ptr<const turn_record>>& records) {
  const auto changes = [](const fact& f) { return concerns_membership(f); };
  if (member && std::any_of(records.begin(), records.end(), [&](const auto& record) {
        return std::any_of(record->facts.begin(), record->facts.end(), changes);
      }))
    member->read_members();
}

void node::impl::read_definitions_of(std::uint64_t index) {
  member->definitions_change();
  slow->post([this, index] {
    read_definitions();
    member->definitions_read(index);
  });
}

void node::impl::read_definitions() {
  if (auto known = load_catalog(*disk, services->compile_with))
    definitions.set(std::move(*known));
  else
    log::error("definitions-not-read", {{"why", known.error().context}});
}

bool node::impl::cut_here(group_id group, std::uint64_t epoch) {
  if (group != catalog_group) {
    const auto shard = shards.find(group);
    if (shard)
      caf::anon_send(shard, atom::cut_v, epoch);
    return static_cast<bool>(shard);
  }
  const auto owner = catalog_owner();
  if (owner)
    caf::anon_send(owner, atom::cut_v, epoch);
  return static_cast<bool>(owner);
}

catalog_actor node::impl::catalog_owner() {
  const std::lock_guard lock{catalogue_mutex};
  return catalogue;
}

}  // namespace holdfast
