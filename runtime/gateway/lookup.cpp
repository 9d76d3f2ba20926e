#include "runtime/gateway/lookup.hpp"

#include "runtime/core/evolve.hpp"
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

result<found_run> find_run(backend& node, const run_id& id) {
  const error absent{errc::not_found, "there is no run " + to_string(id)};
  const group_id group = partition_of(node, id.id);
  if (group == 0)
    return absent;
  auto summary = load_run(node.records(), group, id);
  if (!summary)
    return summary.error();
  if (!*summary)
    return absent;
  return present_run(node, std::move(**summary));
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
