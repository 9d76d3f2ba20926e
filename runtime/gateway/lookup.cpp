#include "runtime/gateway/lookup.hpp"

#include "persistence/keys.hpp"
#include "runtime/core/evolve.hpp"
#include "runtime/core/routing.hpp"
#include "runtime/gateway/documents.hpp"

namespace holdfast {

result<agent_state> find_agent(backend& node, const agent_name& name) {
  auto state = load_agent(node.records(), group_of(name, node.partitions()), name);
  if (!state)
    return state.error();
  if (!*state)
    return error{errc::not_found, "agent " + to_string(name) +
                                    " was never addressed; it exists as soon as an event is"
                                    " sent to it"};
  return std::move(**state);
}

void answer_state(const answering& reply, const agent_state& state) {
  auto& node = reply.at().node;
  std::string memory = "{}";
  if (state.memory_seq != 0) {
    auto stored =
      stored_records{node.records(), group_of(state.name, node.partitions()), state.name}.memory(
        state.memory_seq);
    if (!stored)
      return reply.refuse(stored.error());
    memory = std::move(*stored);
  }
  reply.document(state_document(state, memory), 200,
                 {{"ETag", "\"" + std::to_string(state.seq) + "\""}});
}

group_id partition_of(backend& node, const sortable_id& id) {
  const group_id group = id.group();
  return group >= 1 && group <= node.partitions() ? group : group_id{0};
}

result<found_run> present_run(backend& node, run_summary summary) {
  found_run out{std::move(summary), {}};
  auto& s = out.summary;
  if (s.status != run_status::queued && s.status != run_status::running &&
      s.status != run_status::waiting)
    return out;
  auto state = load_agent(node.records(), group_of(s.agent, node.partitions()), s.agent);
  if (!state)
    return state.error();
  if (!*state)
    return out;
  if ((*state)->run && (*state)->run->id == s.id) {
    const auto before = s;
    s = summary_of(**state, *(*state)->run);
    s.started_seq = before.started_seq;
    s.received_at = before.received_at;
    out.agent = std::move(**state);
  }
  return out;
}

namespace {

constexpr std::size_t outbox_scanned_max = 10'000;

/// A run whose event is durable in its home, and on its way to the agent. Nothing when there is none
/// among the first messages.
result<std::optional<found_run>> find_undelivered(backend& node, const run_id& id) {
  const group_id home = home_of(id, node.partitions());
  if (home == 0)
    return std::optional<found_run>{};
  const auto scan =
    node.records().scan(family::outbox, keys::outbox(home, id.id.group(), 0),
                        keys::outbox(home, static_cast<group_id>(id.id.group() + 1), 0));
  for (std::size_t n = 0; scan->valid() && n < outbox_scanned_max; scan->next(), ++n) {
    const auto message = codec::decode_outbox_message(scan->value());
    if (!message)
      return message.error();
    if (message->kind != outbox_kind::event || message->run != id)
      continue;
    found_run out;
    out.summary.id = id;
    out.summary.agent = message->target;
    out.summary.event = message->event_ref;
    out.summary.received_at = id.id.time();
    return std::optional{std::move(out)};
  }
  if (const auto walked = scan->state(); !walked)
    return walked.error();
  return std::optional<found_run>{};
}

/// The run without a record: it may be on its way, or never come.
result<found_run> find_unrecorded(backend& node, const run_id& id, const error& absent) {
  const group_id group = id.id.group();
  auto on_its_way = find_undelivered(node, id);
  if (!on_its_way)
    return on_its_way.error();
  if (*on_its_way)
    return std::move(**on_its_way);
  const auto letter = node.records().get(family::dead_letter, keys::by_id(group, id.id));
  if (!letter)
    return letter.error();
  if (*letter)
    return error{errc::not_found, to_string(id) + " never began: its event is a dead letter, see " +
                                    "`holdfast event dlq show " + to_string(event_id{id.id}) + "`"};
  auto arrived = load_run(node.records(), group, id);  // between the two looks
  if (!arrived)
    return arrived.error();
  return *arrived ? present_run(node, std::move(**arrived)) : absent;
}

/// One look; nothing when it has no record.
result<std::optional<found_run>> find_recorded(backend& node, const run_id& id) {
  const group_id group = partition_of(node, id.id);
  if (group == 0)
    return std::optional<found_run>{};
  auto summary = load_run(node.records(), group, id);
  if (!summary)
    return summary.error();
  if (!*summary)
    return std::optional<found_run>{};
  auto run = present_run(node, std::move(**summary));
  if (!run)
    return run.error();
  return std::optional{std::move(*run)};
}

void hand_on(call&& c, const result<found_run>& run,
             const std::function<void(call&&, const found_run&)>& then) {
  if (!run)
    return c.reply.refuse(run.error());
  if (const auto seen = c.reply.check_type(run->summary.agent.type); !seen)
    return c.reply.refuse(seen.error());
  then(std::move(c), *run);
}

}  // namespace

result<found_run> find_run(backend& node, const run_id& id) {
  const error absent{errc::not_found, "there is no run " + to_string(id)};
  auto recorded = find_recorded(node, id);
  if (!recorded)
    return recorded.error();
  if (*recorded)
    return std::move(**recorded);
  return partition_of(node, id.id) == 0 ? absent : find_unrecorded(node, id, absent);
}

void with_run(call&& c, std::function<void(call&&, const found_run&)> then) {
  const auto id = run_of(c, 0);
  if (!id)
    return c.reply.refuse(id.error());
  auto recorded = find_recorded(c.node(), *id);
  if (!recorded)
    return c.reply.refuse(recorded.error());
  if (*recorded)
    return hand_on(std::move(c), std::move(**recorded), then);
  auto& at = c.at();
  at.offload([held = std::make_shared<call>(std::move(c)), id = *id, then = std::move(then)] {
    auto& found = *held;
    hand_on(std::move(found), find_run(found.node(), id), then);
  });
}

result<ended_run> find_end(backend& node, const found_run& run) {
  const auto& s = run.summary;
  if (s.ended_seq == 0)
    return ended_run{s, {}, {}};
  return load_end(node.records(), group_of(s.agent, node.partitions()), s);
}

result<run_id> run_of(const call& c, std::size_t parameter) {
  const auto text = c.parameter(parameter);
  const auto id = text ? parse_run_id(*text) : result<run_id>{error{errc::malformed, {}}};
  if (!id)
    return error{errc::not_found,
                 "there is no such run; a run id looks like run_0abc…, 30 characters"};
  return *id;
}

result<event_id> event_of(const call& c, std::size_t parameter) {
  const auto text = c.parameter(parameter);
  const auto id = text ? parse_event_id(*text) : result<event_id>{error{errc::malformed, {}}};
  if (!id)
    return error{errc::not_found,
                 "there is no such event; an event id looks like evt_0abc…, 30 characters"};
  return *id;
}

std::uint32_t current_version(backend& node, std::string_view type) {
  const auto definitions = node.definitions();
  if (!definitions)
    return 0;
  const auto found = definitions->agents.find(type);
  return found == definitions->agents.end() ? 0 : found->second.current;
}

}  // namespace holdfast
