#include "cluster/local_backend.hpp"

#include "runtime/core/stored_records.hpp"
#include "runtime/native/native_behaviour.hpp"

namespace holdfast {

shard_actor local_backend::shard_for(group_id group, const answer_function& tell) const {
  auto shard = p_.services->shards->find(group);
  if (!shard)
    tell(error{errc::overloaded, "the partition is starting; send again"});
  return shard;
}

void local_backend::submit(agent_name to, command cmd, std::optional<idempotency> once,
                           bool until_end, audit_note audit, answer_function tell) {
  const auto shard = shard_for(group_for(to), tell);
  if (!shard)
    return;
  const auto from = p_.requests->add(std::move(tell), until_end);
  caf::anon_send(shard, atom::submit_v,
                 submit_request{std::move(to),
                                {std::move(cmd), from, until_end, std::move(once), std::nullopt,
                                 std::move(audit)}});
}

void local_backend::route(event e, std::string verified, std::optional<idempotency> once,
                          event_sender sender, answer_function tell) {
  // Home is where repeats of the same request meet (DESIGN §3 "Across partitions and nodes").
  const std::string home = once ? std::string{once->scope.view()} : e.source + '\n' + e.id;
  const auto shard = shard_for(group_of(std::string_view{home}, p_.services->partitions), tell);
  if (!shard)
    return;
  const auto from = p_.requests->add(std::move(tell), false);
  caf::anon_send(
    shard, atom::route_v,
    route_request{std::move(e), std::move(verified), std::move(once), from, std::move(sender)});
}

void local_backend::fork(agent_name from, seq_no at, std::string to_key, audit_note audit,
                         answer_function tell) {
  const auto shard = shard_for(group_for(from), tell);
  if (!shard)
    return;
  const agent_name to{from.type, std::move(to_key)};
  const auto there = load_agent(*p_.services->records, group_for(to), to);
  if (!there || *there) {
    tell(there ? error{errc::conflict,
                       to_string(to) + " exists already; fork to a key that was never addressed"}
               : there.error());
    return;
  }
  const auto client = p_.requests->add(std::move(tell), false);
  caf::anon_send(shard, atom::fork_v,
                 fork_request{std::move(from), at, to, client, std::move(audit)});
}

void local_backend::apply(std::vector<definition_change_request> wanted, bool dry_run,
                          std::string by, audit_note audit, answer_function tell) {
  const auto owner = p_.catalog();
  if (!owner) {
    tell(error{errc::overloaded, "the node is starting; send again"});
    return;
  }
  definition_request request;
  request.dry_run = dry_run;
  request.audit = std::move(audit);
  for (auto& one : wanted)
    request.wanted.push_back(
      {std::move(one.kind), std::move(one.name), 0, std::move(one.canonical_json), by});
  request.from = p_.requests->add(std::move(tell), false);
  caf::anon_send(owner, atom::define_v, std::move(request));
}

void local_backend::settle_dead_letter(event_id id, bool redrive, audit_note audit,
                                       answer_function tell) {
  const auto group = id.id.group();
  if (group == catalog_group || group > p_.services->partitions) {
    tell(error{errc::not_found, "no dead letter " + to_string(id)});
    return;
  }
  const auto shard = shard_for(group, tell);
  if (!shard)
    return;
  const auto from = p_.requests->add(std::move(tell), false);
  caf::anon_send(shard, atom::letter_v, dead_letter_request{id, redrive, from, std::move(audit)});
}

void local_backend::audit(audit_recorded what, answer_function tell) {
  const auto owner = p_.catalog();
  if (!owner) {
    tell(error{errc::overloaded, "the node is starting; send again"});
    return;
  }
  const auto from = p_.requests->add(std::move(tell), false);
  caf::anon_send(owner, atom::audit_v, audit_request{std::move(what), from});
}

void local_backend::wait_for(agent_name of, run_id run, answer_function tell) {
  const auto shard = shard_for(group_for(of), tell);
  if (!shard)
    return;
  const auto from = p_.requests->add(std::move(tell), false);
  caf::anon_send(shard, atom::await_v, wait_request{run, from});
}

bool local_backend::has_native(std::string_view type) const { return holdfast::has_native(type); }

}  // namespace holdfast
