// Reading agents: lists, one agent, why it waits, its state, mailbox and timers.

#include "runtime/gateway/requests.hpp"

#include <algorithm>

#include "runtime/gateway/agent_filter.hpp"
#include "runtime/gateway/documents.hpp"
#include "runtime/gateway/lookup.hpp"
#include "runtime/gateway/paging.hpp"

namespace holdfast {

namespace {

/// The agent of the path with its state, or the refusal is sent.
std::optional<agent_state> agent_or_refuse(const call& c) {
  const auto name = c.agent();
  if (!name) {
    c.reply.refuse(name.error());
    return std::nullopt;
  }
  auto state = find_agent(c.node(), *name);
  if (!state) {
    c.reply.refuse(state.error());
    return std::nullopt;
  }
  return std::move(*state);
}

std::vector<keys::range> agent_ranges(std::uint16_t partitions, std::string_view type,
                                      const std::string& after) {
  const auto last = parse_agent_name(after);
  return of_all_partitions(partitions, [&](group_id group) {
    auto range = keys::agents(group, type);
    if (last)
      range.lower = std::max(range.lower, keys::agent(group, *last) + '\0');
    return range;
  });
}

void answer_agents(const answering& reply, const agent_filter& filter, const page_request& page) {
  auto& node = reply.at().node;
  list_writer list;
  std::string next;
  std::size_t scanned = 0;
  merged_scan scan{node.records(), family::snapshot,
                   agent_ranges(node.partitions(), filter.type, page.after), false};
  std::string last;
  for (; scan.valid(); scan.next()) {
    if (list.is_full(page.limit, reply.at().opts.page_bytes_max) ||
        scanned == reply.at().opts.scanned_max) {
      next = make_cursor(cursor_kind::agent, last);
      break;
    }
    ++scanned;
    const auto state = codec::decode_agent_state(scan.value());
    if (!state)
      return reply.refuse(state.error());
    last = to_string(state->name);
    const agent_facts facts{*state, current_version(node, state->name.type)};
    if (!reply.sees(state->name.type) || !matches(filter, facts))
      continue;
    write_agent(list.item(), facts);
  }
  if (const auto walked = scan.state(); !walked)
    return reply.refuse(walked.error());
  reply.document(list.finish(next));
}

/// The event that an entry of the mailbox stands for.
result<waiting_event> waiting_at(const stored_records& own, const agent_name& name,
                                 const mailbox_entry& entry) {
  auto recorded = own.fact_at(entry.event_seq);
  if (!recorded)
    return recorded.error();
  auto* received = std::get_if<event_received>(&*recorded);
  if (received == nullptr)
    return error{errc::corrupt, "a mailbox entry of " + to_string(name) + " names no event"};
  return waiting_event{entry.event_seq, entry.id, entry.run, entry.received_at,
                       std::move(received->event)};
}

void answer_mailbox(const answering& reply, const agent_state& state, const page_request& page) {
  auto& node = reply.at().node;
  const auto& records = node.records();
  const group_id group = group_of(state.name, node.partitions());
  const stored_records own{records, group, state.name};
  const auto after = number_at(page.after);
  std::uint64_t number = std::max(state.mailbox_head, after ? *after + 1 : std::uint64_t{0});
  list_writer list;
  std::string next;
  for (; number < state.mailbox_next; ++number) {
    if (list.is_full(page.limit, reply.at().opts.page_bytes_max)) {
      next = make_cursor(cursor_kind::number, position_of(number - 1));
      break;
    }
    const auto bytes = records.get(family::mailbox, keys::numbered(group, state.name, number));
    if (!bytes)
      return reply.refuse(bytes.error());
    if (!*bytes)
      continue;  // taken out meanwhile
    const auto entry = codec::decode_mailbox_entry(**bytes);
    if (!entry)
      return reply.refuse(entry.error());
    if (std::find(state.skipped.begin(), state.skipped.end(), entry->run) != state.skipped.end())
      continue;
    const auto waiting = waiting_at(own, state.name, *entry);
    if (!waiting)
      return reply.refuse(waiting.error());
    write_waiting(list.item(), state.name, *waiting);
  }
  reply.document(list.finish(next));
}

}  // namespace

void list_agents(call&& c) {
  const auto query = c.query();
  if (!query)
    return c.reply.refuse(query.error());
  auto page = page_of(*query, cursor_kind::agent);
  if (!page)
    return c.reply.refuse(page.error());
  if (!page->after.empty() && !parse_agent_name(page->after))
    return c.reply.refuse(
      error{errc::malformed, "`cursor` is not one that this list gave; begin again without it"});
  auto filter = agent_filter_of(query->text("type"), query->text("status"), query->text("where"),
                                c.at().opts.with);
  if (!filter)
    return c.reply.refuse(filter.error());
  c.at().offload([reply = c.reply, filter = std::move(*filter), page = std::move(*page)] {
    answer_agents(reply, filter, page);
  });
}

void get_agent(call&& c) {
  if (const auto state = agent_or_refuse(c))
    c.reply.document(agent_document({*state, current_version(c.node(), state->name.type)}));
}

void get_why(call&& c) {
  if (const auto state = agent_or_refuse(c))
    c.reply.document(why_document(*state));
}

void get_state(call&& c) {
  if (const auto state = agent_or_refuse(c))
    answer_state(c.reply, *state);
}

void get_mailbox(call&& c) {
  auto state = agent_or_refuse(c);
  if (!state)
    return;
  const auto query = c.query();
  if (!query)
    return c.reply.refuse(query.error());
  auto page = page_of(*query, cursor_kind::number);
  if (!page)
    return c.reply.refuse(page.error());
  c.at().offload([reply = c.reply, state = std::move(*state), page = std::move(*page)] {
    answer_mailbox(reply, state, page);
  });
}

void get_timers(call&& c) {
  const auto state = agent_or_refuse(c);
  if (!state)
    return;
  const auto query = c.query();
  if (!query)
    return c.reply.refuse(query.error());
  const auto page = page_of(*query, cursor_kind::number);
  if (!page)
    return c.reply.refuse(page.error());
  auto timers = state->timers;
  std::sort(timers.begin(), timers.end(), [](const timer_state& a, const timer_state& b) {
    return std::pair{a.due, a.id} < std::pair{b.due, b.id};
  });
  const std::size_t first =
    std::min<std::size_t>(number_at(page->after).value_or(0), timers.size());
  const std::size_t last = std::min(first + page->limit, timers.size());
  list_writer list;
  for (std::size_t i = first; i < last; ++i)
    write_timer(list.item(), timers[i]);
  c.reply.document(list.finish(
    last < timers.size() ? make_cursor(cursor_kind::number, position_of(last)) : std::string{}));
}

}  // namespace holdfast
