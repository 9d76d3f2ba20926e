// What clients ask of a partition as a whole: an event for whom it concerns, a dead letter settled, a fork. What they
// ask of one agent waits in its inbox (shard_core.cpp).

#include "persistence/keys.hpp"
#include "runtime/core/routing.hpp"
#include "runtime/core/shard_core.hpp"
#include "runtime/core/stored_records.hpp"
#include "runtime/core/turn_limits.hpp"

namespace holdfast {

namespace {

/// Nothing is stored of an event that reaches beyond what its sender may.
status in_scope(const catalog* definitions, const event& e, std::string_view verified,
                const event_sender& sender, std::uint16_t partitions) {
  if (sender.scope.is_all() || definitions == nullptr)
    return ok_status();
  const principal who{sender.by, {}, sender.scope, {}};
  const auto found = find_routes(*definitions, e, event_id{}, verified, partitions);
  for (const auto& one : found.routes)
    if (one.matched)
      if (auto checked = check_type(who, one.type); !checked)
        return error{errc::forbidden,
                     "agents of another type want this event: " + checked.error().context};
  for (const auto& letter : found.unroutable)
    if (auto checked = check_type(who, letter.agent.type); !checked)
      return error{errc::forbidden,
                   "agents of another type want this event: " + checked.error().context};
  return ok_status();
}

}  // namespace

/// For when the term has begun: it is a commit away. What was decided before would find the outbox not loaded yet. After
/// the term the client is told that the partition moved, which whoever carries its request takes as a reason to look again.
void shard_core::defer(const request_ref& from, std::function<void()> ask) {
  if (ended_)
    host_.tell(from, error{errc::not_leader, "the partition moved; send again"});
  else if (deferred_.size() >= options_.deferred_max)
    host_.tell(from, error{errc::overloaded, "the partition is starting; send again"});
  else
    deferred_.push_back({from, std::move(ask)});
}

void shard_core::route(event e, std::string verified, std::optional<idempotency> once,
                       request_ref from, const event_sender& sender) {
  if (!decides())
    return defer(from, [=, this, e = std::move(e), verified = std::move(verified)] {
      route(e, verified, once, from, sender);
    });
  if (const auto reached =
        in_scope(host_.definitions().get(), e, verified, sender, options_.partitions);
      !reached) {
    host_.tell(from, reached.error());
    return;
  }
  if (once && is_repeat(once->scope, once->body, {from, once->body, false}))
    return;
  const time_us at = std::max(last_stamp_ + 1, host_.now());
  const event_id id{
    make_id(at, options_.group, group_of(e.source + e.id, options_.partitions), ++event_number_)};
  if (e.id.empty())
    e.id = to_string(id);
  const auto definitions = host_.definitions();
  auto found =
    definitions ? find_routes(*definitions, e, id, verified, options_.partitions) : routing{};

  auto record = std::make_shared<turn_record>();
  for (const auto& one : found.routes) {
    if (!one.matched)
      continue;
    outbox_message message;
    message.kind = outbox_kind::event;
    message.target = {one.type, one.key};
    message.event = e;
    message.event_ref = id;
    message.run = one.run;
    message.verified = verified;
    record->facts.push_back(
      message_sent{group_of(message.target, options_.partitions), 0, std::move(message)});
  }
  for (auto& letter : found.unroutable)
    record->facts.push_back(std::move(letter));
  partition_turn turn;
  turn.from = from;
  turn.then = routed_event{id, found.routes, false};
  if (once) {
    turn.once = once->scope;
    record->facts.push_back(
      idempotency_recorded{once->scope, once->body, id, {}, {}, once->expires});
  }
  record->facts.push_back(
    event_routed{id, std::move(e), std::move(verified), std::move(found.routes), sender.by});
  propose_partition(std::move(record), std::move(turn));
}

void shard_core::settle_dead_letter(event_id id, bool redrive, request_ref from,
                                    const std::shared_ptr<const audit_recorded>& audit) {
  if (!decides())
    return defer(from, [=, this] { settle_dead_letter(id, redrive, from, audit); });
  if (settling_.contains(id)) {
    host_.tell(from, error{errc::conflict,
                           "the dead letter " + to_string(id) + " is being settled already"});
    return;
  }
  const auto bytes = records_.get(family::dead_letter, keys::by_id(options_.group, id.id));
  if (!bytes || !*bytes) {
    host_.tell(from, error{errc::not_found, "no dead letter " + to_string(id) +
                                              "; `holdfast event dlq list` shows those there are"});
    return;
  }
  const auto stored = codec::decode_dead_letter(**bytes);
  if (!stored) {
    host_.tell(from, stored.error());
    return;
  }
  const auto& letter = stored->value;
  auto record = std::make_shared<turn_record>();
  record->facts.push_back(dead_letter_dropped{id, redrive});
  if (redrive) {
    if (letter.agent.key.empty()) {
      host_.tell(from,
                 error{errc::conflict,
                       "this event never had an agent key; correct `key` in the definition of " +
                         letter.agent.type + " and send the event again"});
      return;
    }
    outbox_message message;
    message.kind = outbox_kind::event;
    message.target = letter.agent;
    message.event = letter.event;
    message.verified = letter.verified;
    const group_id target = group_of(letter.agent, options_.partitions);
    message.event_ref = event_id{make_id(std::max(last_stamp_ + 1, host_.now()), target,
                                         hash_of(letter.agent), ++event_number_)};
    message.run = run_id{message.event_ref.id};
    record->facts.push_back(message_sent{target, 0, std::move(message)});
  }
  if (audit)
    record->facts.push_back(*audit);
  settling_.insert(id);
  partition_turn turn;
  turn.from = from;
  turn.letter = id;
  turn.then = command_done{letter.agent, letter.run, true};
  propose_partition(std::move(record), std::move(turn));
}

void shard_core::fork(const agent_name& from, seq_no at, agent_name to, request_ref client,
                      const std::shared_ptr<const audit_recorded>& audit) {
  if (!decides())
    return defer(client, [=, this] { fork(from, at, to, client, audit); });
  auto copy = copy_at(records_, options_.group, from, at);
  if (!copy) {
    host_.tell(client, copy.error());
    return;
  }
  auto record = std::make_shared<turn_record>();
  outbox_message message;
  message.kind = outbox_kind::fork;
  message.source = from;
  message.target = std::move(to);
  message.fork_at = at;
  message.payload = codec::encode(*copy);
  if (message.payload.size() > fork_bytes_max) {
    host_.tell(
      client, error{errc::too_large, to_string(from) + " is too large to be copied: " +
                                       std::to_string(message.payload.size()) + " bytes; at most " +
                                       std::to_string(fork_bytes_max)});
    return;
  }
  const group_id target = group_of(message.target, options_.partitions);
  record->facts.push_back(message_sent{target, 0, std::move(message)});
  if (audit)
    record->facts.push_back(*audit);
  partition_turn turn;
  turn.forks = client;
  propose_partition(std::move(record), std::move(turn));
}

}  // namespace holdfast
