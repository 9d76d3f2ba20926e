// GET …/{key}/history and GET /v1/runs/{id}/history.

#include "runtime/gateway/requests.hpp"

#include <algorithm>

#include "runtime/gateway/documents.hpp"
#include "runtime/gateway/fact_walk.hpp"
#include "runtime/gateway/history.hpp"
#include "runtime/gateway/lookup.hpp"
#include "runtime/gateway/paging.hpp"

namespace holdfast {

namespace {

struct history_query {
  agent_name agent;
  seq_no from = 1;           ///< inclusive
  seq_no last = UINT64_MAX;  ///< the record of this fact is the last that is read
  run_id run;                ///< only this one's; empty: all
  page_request page;
};

void answer_history(const answering& reply, const history_query& query) {
  auto& node = reply.at().node;
  const auto& records = node.records();
  const group_id group = group_of(query.agent, node.partitions());
  // Read before the cursors are made: up to here they see every family.
  const auto state = find_agent(node, query.agent);
  if (!state)
    return reply.refuse(state.error());
  const auto begin = begin_of_run_at(records, group, query.agent, query.from);
  if (!begin)
    return reply.refuse(begin.error());
  list_writer list;
  std::string next;
  std::size_t scanned = 0;
  run_tracker tracker;
  fact_walk walk{records, group, query.agent, family::memory, *begin, state->seq + 1};
  for (; walk.valid(); walk.next()) {
    tracker.take(walk.fact());
    const bool asked = walk.seq() >= query.from && !history_kind(walk.fact()).empty() &&
                       (query.run.empty() || tracker.run_of(walk.fact()) == query.run);
    if (walk.seq() >= query.from)
      ++scanned;
    if ((asked && list.is_full(query.page.limit, reply.at().opts.page_bytes_max)) ||
        scanned > reply.at().opts.scanned_max) {
      next = make_cursor(cursor_kind::number, position_of(walk.seq()));
      break;
    }
    if (asked)
      write_history_item(list.item(), query.agent, walk.seq(), walk.at(), walk.fact(), tracker);
    if (walk.ends_record()) {
      tracker.end_record();
      if (walk.seq() >= query.last)
        break;
    }
  }
  if (const auto walked = walk.state(); !walked)
    return reply.refuse(walked.error());
  reply.document(list.finish(next));
}

/// `from`, `cursor`, `limit`. Nothing when the refusal is sent.
bool read_range(const call& c, const query_reader& query, history_query& out) {
  auto page = page_of(query, cursor_kind::number);
  if (!page) {
    c.reply.refuse(page.error());
    return false;
  }
  const auto from = query.number("from");
  if (!from) {
    c.reply.refuse(from.error());
    return false;
  }
  out.page = std::move(*page);
  if (*from)
    out.from = std::max<seq_no>(**from, 1);
  if (const auto after = number_at(out.page.after))
    out.from = std::max<seq_no>(*after, 1);
  return true;
}

void narrow_to(history_query& query, const run_summary& run) {
  query.run = run.id;
  query.from =
    std::max({query.from, run.event_seq, run.retry_of.empty() ? seq_no{1} : run.started_seq});
  if (run.ended_seq != 0)
    query.last = run.ended_seq;
}

void answer_history_of(const answering& reply, history_query query, const run_id& id) {
  const auto run = find_run(reply.at().node, id);
  if (!run)
    return reply.refuse(run.error());
  if (run->summary.agent != query.agent)
    return reply.refuse(
      error{errc::not_found, to_string(id) + " is not a run of " + to_string(query.agent)});
  narrow_to(query, run->summary);
  answer_history(reply, query);
}

}  // namespace

void get_agent_history(call&& c) {
  const auto name = c.agent();
  if (!name)
    return c.reply.refuse(name.error());
  if (const auto state = find_agent(c.node(), *name); !state)
    return c.reply.refuse(state.error());
  const auto query = c.query();
  if (!query)
    return c.reply.refuse(query.error());
  history_query wanted;
  wanted.agent = *name;
  if (!read_range(c, *query, wanted))
    return;
  const auto text = query->text("run");
  if (text.empty())
    return c.at().offload(
      [reply = c.reply, wanted = std::move(wanted)] { answer_history(reply, wanted); });
  const auto id = parse_run_id(text);
  if (!id)
    return c.reply.refuse(error{errc::malformed, "`run` is a run id such as run_0abc…"});
  c.at().offload([reply = c.reply, wanted = std::move(wanted), id = *id] {
    answer_history_of(reply, wanted, id);
  });
}

void get_run_history(call&& c) {
  with_run(std::move(c), [](call&& found, const found_run& run) {
    const auto query = found.query();
    if (!query)
      return found.reply.refuse(query.error());
    history_query wanted;
    wanted.agent = run.summary.agent;
    if (!read_range(found, *query, wanted))
      return;
    narrow_to(wanted, run.summary);
    found.at().offload(
      [reply = found.reply, wanted = std::move(wanted)] { answer_history(reply, wanted); });
  });
}

}  // namespace holdfast
