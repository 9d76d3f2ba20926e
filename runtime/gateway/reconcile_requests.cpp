// /v1/reconcile: writes whose outcome is not known, and what a person found out.

#include "runtime/gateway/requests.hpp"

#include "runtime/core/evolve.hpp"
#include "runtime/gateway/documents.hpp"
#include "runtime/gateway/lookup.hpp"
#include "runtime/gateway/once.hpp"
#include "runtime/gateway/paging.hpp"

namespace holdfast {

namespace {

constexpr std::size_t note_bytes_max = 4'096;
constexpr std::size_t position_bytes = 16 + 4;  // run ‖ effect number, as in the index

/// What the index names; nothing when it was resolved meanwhile.
result<std::optional<unresolved_effect>> load_unresolved(backend& node, const agent_name& name,
                                                         const effect_id& id) {
  const group_id group = group_of(name, node.partitions());
  const auto state = load_agent(node.records(), group, name);
  if (!state)
    return state.error();
  const auto* effect = *state ? find_effect(**state, id.no) : nullptr;
  if (effect == nullptr || effect->run != id.run || effect->phase != effect_phase::unknown)
    return std::optional<unresolved_effect>{};
  unresolved_effect out{id, name, effect->name, {}, effect->last_error, effect->since};
  const auto record = stored_records{node.records(), group, name}.record_at(effect->seq);
  if (!record)
    return record.error();
  for (const auto& one : record->facts)
    if (const auto* asked = std::get_if<tool_requested>(&one.fact);
        asked != nullptr && one.seq == effect->seq) {
      out.input = asked->input;
      out.sent_at = record->at;
    }
  return std::optional{std::move(out)};
}

void answer_unresolved(const answering& reply, const page_request& page) {
  auto& node = reply.at().node;
  const auto ranges = of_all_partitions(node.partitions(), [&](group_id group) {
    auto range = keys::reconciles(group);
    if (page.after.size() == position_bytes) {
      effect_id last{run_id{id_from_bytes(std::string_view{page.after}.substr(0, 16))}, 0};
      for (const char c : page.after.substr(16))
        last.no = last.no << 8 | static_cast<unsigned char>(c);
      range.lower = keys::reconcile(group, last) + '\0';
    }
    return range;
  });
  list_writer list;
  std::string next;
  std::string last;
  std::size_t scanned = 0;
  merged_scan scan{node.records(), family::index, ranges, false};
  for (; scan.valid(); scan.next()) {
    if (list.is_full(page.limit, reply.at().opts.page_bytes_max) ||
        scanned == reply.at().opts.scanned_max) {
      next = make_cursor(cursor_kind::effect, last);
      break;
    }
    ++scanned;
    const auto id = keys::reconcile_of(scan.key());
    const auto name = parse_agent_name(scan.value());
    if (!id || !name)
      return reply.refuse(error{errc::corrupt, "a key of the reconcile index does not parse"});
    const auto effect = load_unresolved(node, *name, *id);
    if (!effect)
      return reply.refuse(effect.error());
    last = std::string{scan.key().substr(scan.key().size() - position_bytes)};
    if (!*effect || !reply.sees(name->type))
      continue;
    write_reconcile(list.item(), **effect);
  }
  if (const auto walked = scan.state(); !walked)
    return reply.refuse(walked.error());
  reply.document(list.finish(next));
}

std::optional<resolution> resolution_of(std::string_view name) noexcept {
  if (name == "succeeded")
    return resolution::succeeded;
  if (name == "retry")
    return resolution::retry;
  if (name == "failed")
    return resolution::failed;
  return std::nullopt;
}

/// `{"resolve","result"?,"note"?}`
std::optional<refusal> read_resolution(const call& c, resolve_effect& out) {
  const auto kind = media_of(c.request.header("content-type"));
  if (kind != media::json && kind != media::none)
    return refusal{
      unsupported_media(c.request.header("content-type"), "application/json {\"resolve\": …}"), {}};
  if (auto checked = check_body(c.request.body, c.at().opts.body); !checked)
    return refusal{checked.error(), {}};
  member_reader members{c.request.body, {"resolve", "result", "note"}};
  members.require("resolve", "succeeded, retry or failed");
  const auto resolved = resolution_of(members.text("resolve"));
  if (members.good() && !resolved)
    members.note("/resolve", "must be succeeded, retry or failed");
  out.resolved = resolved.value_or(resolution::failed);
  out.output = members.raw("result");
  out.note = members.text("note");
  if (!out.output.empty() && resolved && *resolved != resolution::succeeded)
    members.note("/result", "stands only beside \"resolve\": \"succeeded\"");
  if (out.note.size() > note_bytes_max)
    members.note("/note", "is longer than " + std::to_string(note_bytes_max) + " bytes");
  if (!members.good())
    return members.refused();
  return std::nullopt;
}

}  // namespace

void list_reconciles(call&& c) {
  const auto query = c.query();
  if (!query)
    return c.reply.refuse(query.error());
  auto page = page_of(*query, cursor_kind::effect);
  if (!page)
    return c.reply.refuse(page.error());
  if (!page->after.empty() && page->after.size() != position_bytes)
    return c.reply.refuse(
      error{errc::malformed, "`cursor` is not one that this list gave; begin again without it"});
  c.at().offload([reply = c.reply, page = std::move(*page)] { answer_unresolved(reply, page); });
}

void post_reconcile(call&& c) {
  const auto text = c.parameter(0);
  const auto id = text ? parse_effect_id(*text) : result<effect_id>{error{errc::malformed, {}}};
  const group_id group = id ? partition_of(c.node(), id->run.id) : group_id{0};
  const error absent{errc::not_found,
                     "there is no such effect; `holdfast reconcile list` shows those that wait"};
  if (!id || group == 0)
    return c.reply.refuse(absent);
  const auto key = idempotency_key_of(c);
  if (!key)
    return c.reply.refuse(key.error());
  resolve_effect resolve;
  if (const auto refused = read_resolution(c, resolve))
    return c.reply.refuse(*refused);
  const auto summary = load_run(c.node().records(), group, id->run);
  if (!summary)
    return c.reply.refuse(summary.error());
  if (!*summary)
    return c.reply.refuse(absent);
  if (const auto seen = c.reply.check_type((*summary)->agent.type); !seen)
    return c.reply.refuse(seen.error());
  resolve.effect = *id;
  resolve.by = c.principal();
  const auto once =
    key->empty() ? std::optional<idempotency>{} : std::optional{once_by_key(c, *key)};
  auto& node = c.node();
  const auto agent = (*summary)->agent;
  const auto note = c.reply.note();
  node.submit(
    agent, resolve, once, false, note,
    [reply = std::move(c.reply), agent, id = *id, resolved = resolve.resolved](const answer& told) {
      if (const auto* why = std::get_if<error>(&told))
        return reply.refuse(*why);
      if (std::holds_alternative<command_done>(told))  // else it was resolved by the first of them
        reply.audited();
      std::string body;
      json_writer json{body};
      json.begin_object();
      json.field("kind", "reconcile");
      json.field("id", to_string(id));
      json.field("agent", to_string(agent));
      json.field("run_id", to_string(id.run));
      json.field("effect", to_string(id));
      json.field("resolved", to_string(resolved));
      json.end_object();
      reply.document(std::move(body));
    });
}

}  // namespace holdfast
