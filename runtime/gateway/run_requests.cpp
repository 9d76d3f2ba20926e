// Reading runs.

#include "runtime/gateway/requests.hpp"

#include <array>

#include "runtime/gateway/documents.hpp"
#include "runtime/gateway/lookup.hpp"
#include "runtime/gateway/paging.hpp"

namespace holdfast {

namespace {

struct run_query {
  std::optional<agent_name> agent;
  std::optional<run_status> status_is;
  page_request page;
};

result<run_query> read_query(const call& c) {
  run_query out;
  const auto query = c.query();
  if (!query)
    return query.error();
  auto page = page_of(*query, cursor_kind::id);
  if (!page)
    return page.error();
  out.page = std::move(*page);
  if (!out.page.after.empty() && out.page.after.size() != sortable_id{}.bytes.size())
    return error{errc::malformed,
                 "`cursor` is not one that this list gave; begin again without it"};
  if (const auto name = query->text("agent"); !name.empty()) {
    auto agent = parse_agent_name(name);
    if (!agent)
      return agent.error();
    out.agent = std::move(*agent);
  }
  const auto wanted = query->text("status");
  for (const auto one : {run_status::queued, run_status::running, run_status::waiting,
                         run_status::completed, run_status::failed, run_status::cancelled})
    if (to_string(one) == wanted)
      out.status_is = one;
  if (!wanted.empty() && !out.status_is)
    return error{errc::malformed,
                 "`status` is one of queued, running, waiting, completed, failed, cancelled"};
  return out;
}

/// All runs, or those of one agent, newest first.
merged_scan open_scan(backend& node, const run_query& query) {
  const auto last = id_from_bytes(query.page.after);
  if (query.agent) {
    const group_id group = group_of(*query.agent, node.partitions());
    auto range = keys::agent_runs(group, *query.agent);
    if (!last.empty())
      range.upper = keys::agent_run(group, *query.agent, run_id{last});
    return {node.records(), family::index, {range}, true};
  }
  const auto ranges = of_all_partitions(node.partitions(), [&](group_id group) {
    auto range = keys::by_ids(group);
    if (!last.empty())
      range.upper = keys::by_id(group, last);
    return range;
  });
  return {node.records(), family::run, ranges, true};
}

void answer_runs(const answering& reply, const run_query& query) {
  auto& node = reply.at().node;
  list_writer list;
  std::string next;
  std::size_t scanned = 0;
  sortable_id last;
  auto scan = open_scan(node, query);
  for (; scan.valid(); scan.next()) {
    if (list.is_full(query.page.limit, reply.at().opts.page_bytes_max) ||
        scanned == reply.at().opts.scanned_max) {
      next = make_cursor(cursor_kind::id, last.view());
      break;
    }
    ++scanned;
    const auto id = keys::id_of(scan.key());
    if (!id)
      return reply.refuse(error{errc::corrupt, "a run's key does not parse"});
    last = *id;
    std::optional<run_summary> summary;
    if (query.agent) {
      auto loaded =
        load_run(node.records(), group_of(*query.agent, node.partitions()), run_id{*id});
      if (!loaded)
        return reply.refuse(loaded.error());
      summary = std::move(*loaded);
    } else {
      auto decoded = codec::decode_run(scan.value());
      if (!decoded)
        return reply.refuse(decoded.error());
      summary = std::move(*decoded);
    }
    if (!summary || !reply.sees(summary->agent.type))
      continue;  // deleted meanwhile, or not for this key
    auto run = present_run(node, std::move(*summary));
    if (!run)
      return reply.refuse(run.error());
    if (query.status_is && run->summary.status != *query.status_is)
      continue;
    const auto end = find_end(node, *run);
    if (!end)
      return reply.refuse(end.error());
    write_run(list.item(), *end);
  }
  if (const auto walked = scan.state(); !walked)
    return reply.refuse(walked.error());
  reply.document(list.finish(next));
}

}  // namespace

void list_runs(call&& c) {
  auto query = read_query(c);
  if (!query)
    return c.reply.refuse(query.error());
  c.at().offload([reply = c.reply, query = std::move(*query)] { answer_runs(reply, query); });
}

void get_run(call&& c) {
  with_run(std::move(c), [](call&& found, const found_run& run) {
    const auto end = find_end(found.node(), run);
    if (!end)
      return found.reply.refuse(end.error());
    found.reply.document(run_document(*end));
  });
}

}  // namespace holdfast
