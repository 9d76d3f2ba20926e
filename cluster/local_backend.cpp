#include "cluster/local_backend.hpp"

#include "cluster/backup_keeper.hpp"
#include "cluster/cluster_member.hpp"
#include "runtime/core/stored_records.hpp"
#include "runtime/native/native_behaviour.hpp"

namespace holdfast {

shard_actor local_backend::shard_for(group_id group, const answer_function& tell) const {
  auto shard = p_.services->shards->find(group);
  if (!shard)
    tell(not_here());
  return shard;
}

catalog_actor local_backend::catalog_for(const answer_function& tell) const {
  auto owner = p_.catalog();
  if (!owner)
    tell(not_here());
  return owner;
}

error local_backend::not_here() const {
  if (p_.others)
    return {errc::not_leader, "the partition moved; send again"};
  return {errc::overloaded, "the node is starting; send again"};
}

bool local_backend::owns(group_id group) const {
  // Within its lease: a node that was stopped or cut off has a shard of what is led elsewhere by now.
  if (p_.member != nullptr && !p_.member->leads(group))
    return false;
  return group == catalog_group ? static_cast<bool>(p_.catalog())
                                : static_cast<bool>(p_.services->shards->find(group));
}

void local_backend::forward(group_id group, net::http_request request,
                            std::shared_ptr<const principal> who, net::responder to) {
  p_.others->forward(group, std::move(request), std::move(who), std::move(to));
}

std::optional<cluster_view> local_backend::cluster() const {
  return p_.member != nullptr ? std::optional{p_.member->view()} : std::nullopt;
}

bool local_backend::is_peer(std::string_view node) const {
  return p_.member != nullptr && p_.member->peer_id(node) != 0;
}

void local_backend::forward_to(std::string_view peer, net::http_request request,
                               std::shared_ptr<const principal> who, net::responder to) {
  p_.others->forward_to(p_.member->peer_id(peer), std::move(request), std::move(who),
                        std::move(to));
}

status local_backend::set_cordoned(bool cordoned) {
  return p_.member != nullptr ? p_.member->set_cordoned(cordoned) : backend::set_cordoned(cordoned);
}

void local_backend::change_member(member_change wanted, audit_note audit, answer_function tell) {
  if (p_.member == nullptr)
    return backend::change_member(std::move(wanted), std::move(audit), std::move(tell));
  const auto owner = catalog_for(tell);
  if (!owner)
    return;
  const auto from = p_.requests->add(std::move(tell), false, catalog_group);
  caf::anon_send(owner, atom::member_v, member_request{std::move(wanted), from, std::move(audit)});
  if (p_.catalog() != owner)
    p_.requests->tell(from, error{errc::unknown_outcome, {}});
}

void local_backend::spread_leaders() {
  if (p_.member != nullptr)
    p_.member->spread_leaders();
}

result<std::shared_ptr<backup_job>> local_backend::begin_backup() { return p_.backups->begin(); }

/// Gives the request a number and has it sent. The group may be lost meanwhile, before its clients were counted: then
/// this one would wait for ever.
template <class Send>
void local_backend::hand_over(group_id group, const shard_actor& shard, answer_function tell,
                              bool until_end, Send send) {
  const auto from = p_.requests->add(std::move(tell), until_end, group);
  send(from);
  if (p_.services->shards->find(group) != shard)
    p_.requests->tell(from, error{errc::unknown_outcome, {}});
}

void local_backend::submit(agent_name to, command cmd, std::optional<idempotency> once,
                           bool until_end, audit_note audit, answer_function tell) {
  const auto group = group_for(to);
  if (const auto* verb = std::get_if<control>(&cmd); verb && p_.others && !owns(group))
    return p_.others->control(group, to, *verb, once, audit, std::move(tell));
  const auto shard = shard_for(group, tell);
  if (!shard)
    return;
  hand_over(group, shard, std::move(tell), until_end, [&](const request_ref& from) {
    caf::anon_send(shard, atom::submit_v,
                   submit_request{std::move(to),
                                  {std::move(cmd), from, until_end, std::move(once), std::nullopt,
                                   std::move(audit)}});
  });
}

void local_backend::route(event e, std::string verified, std::optional<idempotency> once,
                          event_sender sender, answer_function tell) {
  const auto group = home_of(once, e, p_.services->partitions);
  if (p_.others && !owns(group))
    return p_.others->route(group, std::move(e), std::move(verified), std::move(once),
                            std::move(sender), std::move(tell));
  const auto shard = shard_for(group, tell);
  if (!shard)
    return;
  hand_over(group, shard, std::move(tell), false, [&](const request_ref& from) {
    caf::anon_send(
      shard, atom::route_v,
      route_request{std::move(e), std::move(verified), std::move(once), from, std::move(sender)});
  });
}

void local_backend::fork(agent_name from, seq_no at, std::string to_key, audit_note audit,
                         answer_function tell) {
  const auto group = group_for(from);
  const auto shard = shard_for(group, tell);
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
  hand_over(group, shard, std::move(tell), false, [&](const request_ref& client) {
    caf::anon_send(shard, atom::fork_v,
                   fork_request{std::move(from), at, to, client, std::move(audit)});
  });
}

void local_backend::apply(std::vector<definition_change_request> wanted, bool dry_run,
                          std::string by, audit_note audit, answer_function tell) {
  const auto owner = catalog_for(tell);
  if (!owner)
    return;
  // A client that goes on at another node finds there what it has just defined.
  if (p_.member && !dry_run)
    tell = [member = p_.member, tell = std::move(tell)](answer told) {
      if (std::holds_alternative<error>(told))
        return tell(std::move(told));
      member->when_defined([tell, told = std::move(told)] { tell(told); });
    };
  definition_request request;
  request.dry_run = dry_run;
  request.audit = std::move(audit);
  for (auto& one : wanted)
    request.wanted.push_back(
      {std::move(one.kind), std::move(one.name), 0, std::move(one.canonical_json), by});
  request.from = p_.requests->add(std::move(tell), false, catalog_group);
  const auto from = request.from;
  caf::anon_send(owner, atom::define_v, std::move(request));
  if (p_.catalog() != owner)
    p_.requests->tell(from, error{errc::unknown_outcome, {}});
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
  hand_over(group, shard, std::move(tell), false, [&](const request_ref& from) {
    caf::anon_send(shard, atom::letter_v, dead_letter_request{id, redrive, from, std::move(audit)});
  });
}

void local_backend::audit(audit_recorded what, answer_function tell) {
  if (p_.others && !owns(catalog_group))
    return p_.others->audit(std::move(what), std::move(tell));
  const auto owner = catalog_for(tell);
  if (!owner)
    return;
  const auto from = p_.requests->add(std::move(tell), false, catalog_group);
  caf::anon_send(owner, atom::audit_v, audit_request{std::move(what), from});
  if (p_.catalog() != owner)
    p_.requests->tell(from, error{errc::unknown_outcome, {}});
}

void local_backend::wait_for(agent_name of, run_id run, answer_function tell) {
  const auto group = group_for(of);
  const auto shard = shard_for(group, tell);
  if (!shard)
    return;
  hand_over(group, shard, std::move(tell), false, [&](const request_ref& from) {
    caf::anon_send(shard, atom::await_v, wait_request{run, from});
  });
}

bool local_backend::has_native(std::string_view type) const { return holdfast::has_native(type); }

}  // namespace holdfast
