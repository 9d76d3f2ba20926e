// /v1/dlq: events that could not be processed, for a person to redrive or drop.

#include "runtime/gateway/requests.hpp"

#include "runtime/gateway/documents.hpp"
#include "runtime/gateway/lookup.hpp"
#include "runtime/gateway/paging.hpp"

namespace holdfast {

namespace {

void answer_letters(const answering& reply, const page_request& page) {
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
  merged_scan scan{node.records(), family::dead_letter, ranges, true};
  for (; scan.valid(); scan.next()) {
    if (list.is_full(page.limit, reply.at().opts.page_bytes_max) ||
        scanned == reply.at().opts.scanned_max) {
      next = make_cursor(cursor_kind::id, last.view());
      break;
    }
    ++scanned;
    const auto letter = codec::decode_dead_letter(scan.value());
    if (!letter)
      return reply.refuse(letter.error());
    last = letter->value.id.id;
    if (!reply.sees(letter->value.agent.type))
      continue;
    write_dead_letter(list.item(), letter->value, letter->at);
  }
  if (const auto walked = scan.state(); !walked)
    return reply.refuse(walked.error());
  reply.document(list.finish(next));
}

/// The letter that the path names, or the refusal is sent. A letter lies in the partition of the
/// agent that could not take it, which is not always the one that gave the event its id.
std::optional<codec::stamped<dead_lettered>> letter_or_refuse(const call& c) {
  const auto id = event_of(c, 0);
  if (!id) {
    c.reply.refuse(id.error());
    return std::nullopt;
  }
  auto& node = c.node();
  for (group_id group = 1; group <= node.partitions(); ++group) {
    const auto bytes = node.records().get(family::dead_letter, keys::by_id(group, id->id));
    if (!bytes) {
      c.reply.refuse(bytes.error());
      return std::nullopt;
    }
    if (!*bytes)
      continue;
    auto letter = codec::decode_dead_letter(**bytes);
    if (!letter) {
      c.reply.refuse(letter.error());
      return std::nullopt;
    }
    if (const auto seen = c.reply.check_type(letter->value.agent.type); !seen) {
      c.reply.refuse(seen.error());
      return std::nullopt;
    }
    return std::move(*letter);
  }
  c.reply.refuse(error{errc::not_found, "there is no dead letter " + to_string(*id) +
                                          "; `holdfast event dlq list` shows those there are"});
  return std::nullopt;
}

}  // namespace

void list_dead_letters(call&& c) {
  const auto query = c.query();
  if (!query)
    return c.reply.refuse(query.error());
  auto page = page_of(*query, cursor_kind::id);
  if (!page)
    return c.reply.refuse(page.error());
  if (!page->after.empty() && page->after.size() != sortable_id{}.bytes.size())
    return c.reply.refuse(
      error{errc::malformed, "`cursor` is not one that this list gave; begin again without it"});
  c.at().offload([reply = c.reply, page = std::move(*page)] { answer_letters(reply, page); });
}

void get_dead_letter(call&& c) {
  const auto letter = letter_or_refuse(c);
  if (!letter)
    return;
  std::string body;
  json_writer json{body};
  write_dead_letter(json, letter->value, letter->at);
  c.reply.document(std::move(body));
}

void redrive_dead_letter(call&& c) {
  auto letter = letter_or_refuse(c);
  if (!letter)
    return;
  auto& node = c.node();
  const auto id = letter->value.id;
  const auto note = c.reply.note();
  node.settle_dead_letter(
    id, true, note, [reply = std::move(c.reply), letter = std::move(*letter)](const answer& told) {
      if (const auto* why = std::get_if<error>(&told))
        return reply.refuse(*why);
      reply.audited();
      std::string body;
      json_writer json{body};
      json.begin_object();
      json.field("kind", "dead_letter");
      json.field("id", to_string(letter.value.id));
      json.field("redriven", true);
      if (const auto* routed = std::get_if<routed_event>(&told))
        json.field("event_id", to_string(routed->event));
      if (const auto* accepted = std::get_if<accepted_event>(&told)) {
        json.field("event_id", to_string(accepted->event));
        json.field("run_id", to_string(accepted->run));
      }
      json.end_object();
      reply.document(std::move(body));
    });
}

void drop_dead_letter(call&& c) {
  const auto letter = letter_or_refuse(c);
  if (!letter)
    return;
  auto& node = c.node();
  const auto note = c.reply.note();
  node.settle_dead_letter(letter->value.id, false, note,
                          [reply = std::move(c.reply)](const answer& told) {
                            if (const auto* why = std::get_if<error>(&told))
                              return reply.refuse(*why);
                            reply.audited();
                            reply.no_content();
                          });
}

}  // namespace holdfast
