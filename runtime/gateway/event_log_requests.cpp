// GET /v1/events and GET /v1/events/{id}: what was routed, and where to.

#include "runtime/gateway/requests.hpp"

#include <algorithm>

#include "runtime/gateway/documents.hpp"
#include "runtime/gateway/lookup.hpp"
#include "runtime/gateway/paging.hpp"

namespace holdfast {

namespace {

struct event_query {
  page_request page;
  std::string type;    ///< empty: all
  std::string source;  ///< empty: all
};

/// What of a routed event the key may see; false: nothing. An event that went nowhere is for keys
/// of every type.
bool narrow_to_scope(const answering& reply, event_routed& routed) {
  if (reply.who()->scope.is_all())
    return true;
  std::erase_if(routed.routes, [&](const route& one) { return !reply.sees(one.type); });
  return std::any_of(routed.routes.begin(), routed.routes.end(),
                     [](const route& one) { return one.matched; });
}

void answer_events(const answering& reply, const event_query& query) {
  const auto& page = query.page;
  auto& node = reply.at().node;
  const auto last_seen = id_from_bytes(page.after);
  const auto ranges = of_all_partitions(node.partitions(), [&](group_id group) {
    auto range = keys::by_ids(group);
    if (!last_seen.empty())
      range.upper = keys::by_id(group, last_seen);
    return range;
  });
  list_writer list;
  std::string next;
  std::size_t scanned = 0;
  sortable_id last;
  merged_scan scan{node.records(), family::event_log, ranges, true};
  for (; scan.valid(); scan.next()) {
    if (list.is_full(page.limit, reply.at().opts.page_bytes_max) ||
        scanned == reply.at().opts.scanned_max) {
      next = make_cursor(cursor_kind::id, last.view());
      break;
    }
    ++scanned;
    auto routed = codec::decode_event_routed(scan.value());
    if (!routed)
      return reply.refuse(routed.error());
    last = routed->value.id.id;
    const auto& e = routed->value.event;
    if ((!query.type.empty() && e.type != query.type) ||
        (!query.source.empty() && e.source != query.source) ||
        !narrow_to_scope(reply, routed->value))
      continue;
    write_routed(list.item(), routed->value, routed->at);
  }
  if (const auto walked = scan.state(); !walked)
    return reply.refuse(walked.error());
  reply.document(list.finish(next));
}

/// An event that was sent straight to an agent is in that agent's history, under its run.
result<std::optional<codec::stamped<event_routed>>> find_direct(backend& node, group_id group,
                                                                const event_id& id) {
  auto summary = load_run(node.records(), group, run_id{id.id});
  if (!summary)
    return summary.error();
  if (!*summary || (*summary)->event_seq == 0)
    return std::optional<codec::stamped<event_routed>>{};
  const auto& run = **summary;
  const auto record = stored_records{node.records(), group, run.agent}.record_at(run.event_seq);
  if (!record)
    return record.error();
  for (const auto& one : record->facts)
    if (const auto* received = std::get_if<event_received>(&one.fact);
        received != nullptr && received->id == id) {
      codec::stamped<event_routed> out;
      out.at = record->at;
      out.value = {id,
                   received->event,
                   received->verified,
                   {{run.agent.type, run.agent.key, true, {}, run.id}},
                   received->by};
      return std::optional{std::move(out)};
    }
  return std::optional<codec::stamped<event_routed>>{};
}

}  // namespace

void list_events(call&& c) {
  const auto query = c.query();
  if (!query)
    return c.reply.refuse(query.error());
  auto page = page_of(*query, cursor_kind::id);
  if (!page)
    return c.reply.refuse(page.error());
  if (!page->after.empty() && page->after.size() != sortable_id{}.bytes.size())
    return c.reply.refuse(
      error{errc::malformed, "`cursor` is not one that this list gave; begin again without it"});
  event_query wanted{std::move(*page), std::string{query->text("type")},
                     std::string{query->text("source")}};
  c.at().offload([reply = c.reply, wanted = std::move(wanted)] { answer_events(reply, wanted); });
}

void get_event(call&& c) {
  const auto id = event_of(c, 0);
  if (!id)
    return c.reply.refuse(id.error());
  auto& node = c.node();
  const error absent{errc::not_found,
                     "there is no event " + to_string(*id) + "; it may be below retention"};
  const group_id group = partition_of(node, id->id);
  if (group == 0)
    return c.reply.refuse(absent);
  const auto bytes = node.records().get(family::event_log, keys::by_id(group, id->id));
  if (!bytes)
    return c.reply.refuse(bytes.error());
  std::optional<codec::stamped<event_routed>> found;
  if (*bytes) {
    auto routed = codec::decode_event_routed(**bytes);
    if (!routed)
      return c.reply.refuse(routed.error());
    found = std::move(*routed);
  } else {
    auto direct = find_direct(node, group, *id);
    if (!direct)
      return c.reply.refuse(direct.error());
    found = std::move(*direct);
  }
  if (!found)
    return c.reply.refuse(absent);
  if (!narrow_to_scope(c.reply, found->value))
    return c.reply.refuse(error{
      errc::forbidden, "this event went to no agent that the key `" + c.principal() + "` is for"});
  std::string body;
  json_writer json{body};
  write_routed(json, found->value, found->at);
  c.reply.document(std::move(body));
}

}  // namespace holdfast
