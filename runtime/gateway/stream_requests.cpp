// GET /v1/runs/{id}/stream and GET /v1/agents/{type}/{key}/stream.

#include "runtime/gateway/requests.hpp"

#include "runtime/gateway/lookup.hpp"
#include "runtime/gateway/stream_hub.hpp"

namespace holdfast {

namespace {

/// `Last-Event-ID`, else `?from=`: a client that reconnects sends both, and knows better by then.
result<std::optional<stream_cursor>> cursor_of(const call& c) {
  std::string_view text = c.request.header("last-event-id");
  const auto query = c.query();
  if (!query)
    return query.error();
  if (text.empty())
    text = query->text("from");
  if (text.empty())
    return std::optional<stream_cursor>{};
  const auto cursor = parse_cursor(text);
  if (!cursor)
    return cursor.error();
  return std::optional{*cursor};
}

void open(const call& c, agent_name agent, run_id run) {
  const auto after = cursor_of(c);
  if (!after)
    return c.reply.refuse(after.error());
  c.at().offload([reply = c.reply, wanted = stream_hub::request{std::move(agent), run, *after}] {
    reply.at().streams->open(wanted, reply);
  });
}

}  // namespace

void stream_run(call&& c) {
  with_run(std::move(c), [](call&& found, const found_run& run) {
    open(found, run.summary.agent, run.summary.id);
  });
}

void stream_agent(call&& c) {
  auto name = c.agent();
  if (!name)
    return c.reply.refuse(name.error());
  open(c, std::move(*name), {});
}

}  // namespace holdfast
