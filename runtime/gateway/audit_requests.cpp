// GET /v1/audit: who changed what, or was refused, newest first.

#include "runtime/gateway/requests.hpp"

#include "runtime/gateway/documents.hpp"
#include "runtime/gateway/paging.hpp"
#include "runtime/host/sha256.hpp"

namespace holdfast {

namespace {

constexpr std::size_t place_bytes = 8 + 8;                     // time ‖ number, as in the keys
constexpr std::size_t audit_position_bytes = place_bytes + 2;  // and the group

/// One range of each group, that of the catalogue included. Entries of the same time and number are
/// told apart by their group: the lowest comes first.
std::vector<keys::range> audit_ranges(std::uint16_t partitions, const std::string& after) {
  std::vector<keys::range> out;
  for (group_id group = catalog_group; group <= partitions; ++group) {
    auto range = keys::audits(group);
    if (after.size() == audit_position_bytes) {
      const auto last = keys::group_of(std::string_view{after}.substr(place_bytes));
      range.upper = range.lower + after.substr(0, place_bytes);
      if (last && group > *last)
        range.upper += '\0';
    }
    out.push_back(std::move(range));
  }
  return out;
}

void write_audit(json_writer& json, group_id group, const audit_entry& entry) {
  json.begin_object();
  json.field("kind", "audit");
  json.field("id", std::to_string(group) + "-" + std::to_string(entry.number));
  write_time(json, "at", entry.at);
  json.field("by", entry.what.by);
  json.field("method", entry.what.method);
  json.field("route", entry.what.route);
  json.field("subject", entry.what.subject);
  json.field("outcome", entry.what.outcome);
  json.field("request_id", entry.what.request_id);
  json.optional_field("peer", entry.what.peer);
  json.field("hash", hex_text(entry.hash));
  json.end_object();
}

void answer_audit(const answering& reply, const page_request& page) {
  auto& node = reply.at().node;
  list_writer list;
  std::string next;
  std::string last;
  merged_scan scan{node.records(), family::audit, audit_ranges(node.partitions(), page.after),
                   true};
  for (; scan.valid(); scan.next()) {
    if (list.is_full(page.limit, reply.at().opts.page_bytes_max)) {
      next = make_cursor(cursor_kind::audit, last);
      break;
    }
    const auto entry = codec::decode_audit_entry(scan.value());
    const auto group = keys::group_of(scan.key());
    if (!entry || !group)
      return reply.refuse(error{errc::corrupt, "an entry of the audit log does not parse"});
    last = std::string{scan.key().substr(2)} + std::string{scan.key().substr(0, 2)};
    write_audit(list.item(), *group, *entry);
  }
  if (const auto walked = scan.state(); !walked)
    return reply.refuse(walked.error());
  reply.document(list.finish(next));
}

}  // namespace

void list_audit(call&& c) {
  const auto query = c.query();
  if (!query)
    return c.reply.refuse(query.error());
  auto page = page_of(*query, cursor_kind::audit);
  if (!page)
    return c.reply.refuse(page.error());
  if (!page->after.empty() && page->after.size() != audit_position_bytes)
    return c.reply.refuse(
      error{errc::malformed, "`cursor` is not one that this list gave; begin again without it"});
  c.at().offload([reply = c.reply, page = std::move(*page)] { answer_audit(reply, page); });
}

}  // namespace holdfast
