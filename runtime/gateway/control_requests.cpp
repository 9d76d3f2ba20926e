// What operators ask of one agent or run: verbs, state patches, forks, deletion.

#include "runtime/gateway/requests.hpp"

#include "runtime/gateway/documents.hpp"
#include "runtime/gateway/lookup.hpp"
#include "runtime/gateway/once.hpp"

namespace holdfast {

namespace {

constexpr std::size_t reason_bytes_max = 1'024;

struct verb_body {
  std::string reason;
  bool from_start = false;
};

/// `{"reason"}`, and for a retry `{"from_start"}`; no body is the empty object.
std::optional<refusal> read_verb_body(const call& c, bool is_retry, verb_body& out) {
  if (c.request.body.empty())
    return std::nullopt;
  const auto kind = media_of(c.request.header("content-type"));
  if (kind != media::json && kind != media::none)
    return refusal{
      unsupported_media(c.request.header("content-type"), "application/json {\"reason\": …}"), {}};
  if (auto checked = check_body(c.request.body, c.at().opts.body); !checked)
    return refusal{checked.error(), {}};
  member_reader members = is_retry ? member_reader{c.request.body, {"reason", "from_start"}}
                                   : member_reader{c.request.body, {"reason"}};
  out.reason = members.text("reason");
  if (is_retry)
    out.from_start = members.flag("from_start");
  if (out.reason.size() > reason_bytes_max)
    members.note("/reason", "is longer than " + std::to_string(reason_bytes_max) + " bytes");
  if (!members.good())
    return members.refused();
  return std::nullopt;
}

/// A verb creates the agent that it names, but not its type.
std::optional<error> check_type(backend& node, const std::string& type) {
  if (current_version(node, type) != 0)
    return std::nullopt;
  return error{errc::unknown_type, "no agent type `" + type +
                                     "` is defined; `holdfast type list` shows those there are"};
}

void add_replayed(net::header_list& headers, const answer& told) {
  if (const auto* accepted = std::get_if<accepted_event>(&told);
      accepted != nullptr && accepted->replayed)
    headers.emplace_back("Idempotent-Replayed", "true");
}

/// The agent as it is after the command.
void answer_agent(const answering& reply, const agent_name& name, net::header_list headers = {}) {
  auto& node = reply.at().node;
  auto state = load_agent(node.records(), group_of(name, node.partitions()), name);
  if (!state)
    return reply.refuse(state.error());
  agent_state fresh;
  fresh.name = name;
  const agent_state& shown = *state ? **state : fresh;
  reply.document(agent_document({shown, current_version(node, name.type)}), 200,
                 std::move(headers));
}

void answer_run(const answering& reply, const run_id& run, net::header_list headers) {
  auto found = find_run(reply.at().node, run);
  if (!found)
    return reply.refuse(found.error());
  const auto end = find_end(reply.at().node, *found);
  if (!end)
    return reply.refuse(end.error());
  reply.document(run_document(*end), 200, std::move(headers));
}

/// The parts that all verbs share, up to the command. Nothing when the refusal is sent.
struct verb_request {
  control cmd;
  std::optional<idempotency> once;
};
std::optional<verb_request> read_verb(const call& c, control_verb verb) {
  verb_request out;
  const auto key = idempotency_key_of(c);
  if (!key) {
    c.reply.refuse(key.error());
    return std::nullopt;
  }
  verb_body body;
  if (const auto refused = read_verb_body(c, verb == control_verb::retry, body)) {
    c.reply.refuse(*refused);
    return std::nullopt;
  }
  out.cmd.verb = verb;
  out.cmd.by = c.principal();
  out.cmd.reason = std::move(body.reason);
  out.cmd.from_start = body.from_start;
  if (!key->empty())
    out.once = once_by_key(c, *key);
  return out;
}

void control_agent(call&& c, control_verb verb) {
  auto agent = c.agent();
  if (!agent)
    return c.reply.refuse(agent.error());
  if (const auto unknown = check_type(c.node(), agent->type))
    return c.reply.refuse(*unknown);
  auto read = read_verb(c, verb);
  if (!read)
    return;
  auto& node = c.node();
  const auto note = c.reply.note();
  node.submit(*agent, std::move(read->cmd), read->once, false, note,
              [reply = std::move(c.reply), name = *agent](const answer& told) {
                if (const auto* why = std::get_if<error>(&told))
                  return reply.refuse(*why);
                net::header_list headers;
                add_replayed(headers, told);
                if (headers.empty())
                  reply.audited();
                answer_agent(reply, name, std::move(headers));
              });
}

void control_found(call&& c, const run_summary& of, control_verb verb) {
  auto read = read_verb(c, verb);
  if (!read)
    return;
  read->cmd.run = of.id;
  auto& node = c.node();
  const auto note = c.reply.note();
  node.submit(of.agent, std::move(read->cmd), read->once, false, note,
              [reply = std::move(c.reply), run = of.id](const answer& told) {
                if (const auto* why = std::get_if<error>(&told))
                  return reply.refuse(*why);
                net::header_list headers;
                add_replayed(headers, told);
                if (headers.empty())
                  reply.audited();
                run_id shown = run;
                if (const auto* done = std::get_if<command_done>(&told);
                    done != nullptr && !done->run.empty())
                  shown = done->run;
                else if (const auto* again = std::get_if<accepted_event>(&told);
                         again != nullptr && !again->run.empty())
                  shown = again->run;
                answer_run(reply, shown, std::move(headers));
              });
}

void control_run(call&& c, control_verb verb) {
  with_run(std::move(c), [verb](call&& found, const found_run& run) {
    control_found(std::move(found), run.summary, verb);
  });
}

/// `If-Match`: a seq, or nothing for absent and `*`. An unknown tag matches nothing.
result<std::optional<seq_no>> if_match_of(const call& c) {
  auto tag = c.request.header("if-match");
  if (tag.empty() || tag == "*")
    return std::optional<seq_no>{};
  if (tag.size() >= 2 && tag.front() == '"' && tag.back() == '"')
    if (const auto seq = number_value(tag.substr(1, tag.size() - 2)))
      return std::optional<seq_no>{*seq};
  return error{errc::precondition_failed,
               "`If-Match` is not the ETag of this state; read it again"};
}

}  // namespace

void pause_agent(call&& c) { control_agent(std::move(c), control_verb::pause); }
void resume_agent(call&& c) { control_agent(std::move(c), control_verb::resume); }
void cancel_agent(call&& c) { control_agent(std::move(c), control_verb::cancel); }
void kill_agent(call&& c) { control_agent(std::move(c), control_verb::kill); }
void retry_agent(call&& c) { control_agent(std::move(c), control_verb::retry); }
void quarantine_agent(call&& c) { control_agent(std::move(c), control_verb::quarantine); }
void cancel_run_call(call&& c) { control_run(std::move(c), control_verb::cancel); }
void retry_run_call(call&& c) { control_run(std::move(c), control_verb::retry); }

void delete_agent(call&& c) {
  auto agent = c.agent();
  if (!agent)
    return c.reply.refuse(agent.error());
  if (const auto state = find_agent(c.node(), *agent); !state)
    return c.reply.refuse(state.error());
  control cmd;
  cmd.verb = control_verb::remove;
  cmd.by = c.principal();
  auto& node = c.node();
  const auto note = c.reply.note();
  node.submit(std::move(*agent), std::move(cmd), std::nullopt, false, note,
              [reply = std::move(c.reply)](const answer& told) {
                if (const auto* why = std::get_if<error>(&told))
                  return reply.refuse(*why);
                reply.audited();
                reply.no_content();
              });
}

void patch_agent_state(call&& c) {
  auto agent = c.agent();
  if (!agent)
    return c.reply.refuse(agent.error());
  if (const auto unknown = check_type(c.node(), agent->type))
    return c.reply.refuse(*unknown);
  const auto kind = media_of(c.request.header("content-type"));
  if (kind != media::json && kind != media::merge_patch && kind != media::none)
    return c.reply.refuse(
      unsupported_media(c.request.header("content-type"), "application/merge-patch+json"));
  if (auto checked = check_body(c.request.body, c.at().opts.body); !checked)
    return c.reply.refuse(checked.error());
  if (!object_walk{c.request.body}.is_object())
    return c.reply.refuse(refusal{{errc::schema, "a state patch is a JSON object (RFC 7396)"},
                                  {{"", "must be a JSON object"}}});
  const auto if_seq = if_match_of(c);
  if (!if_seq)
    return c.reply.refuse(if_seq.error());
  patch_state patch{std::move(c.request.body), *if_seq, c.principal()};
  auto& node = c.node();
  const auto note = c.reply.note();
  node.submit(*agent, std::move(patch), std::nullopt, false, note,
              [reply = std::move(c.reply), name = *agent](const answer& told) {
                if (const auto* why = std::get_if<error>(&told))
                  return reply.refuse(*why);
                reply.audited();
                auto state = find_agent(reply.at().node, name);
                if (!state)
                  return reply.refuse(state.error());
                answer_state(reply, *state);
              });
}

void fork_agent(call&& c) {
  auto agent = c.agent();
  if (!agent)
    return c.reply.refuse(agent.error());
  const auto kind = media_of(c.request.header("content-type"));
  if (kind != media::json && kind != media::none)
    return c.reply.refuse(unsupported_media(c.request.header("content-type"),
                                            "application/json {\"at\": 41, \"key\": …}"));
  if (auto checked = check_body(c.request.body, c.at().opts.body); !checked)
    return c.reply.refuse(checked.error());
  member_reader members{c.request.body, {"at", "key", "reason"}};
  members.require("at", "the seq of the history to fork at");
  members.require("key", "the key of the new agent");
  const auto at = members.number("at");
  const auto key = members.text("key");
  (void)members.text("reason");
  if (!members.good())
    return c.reply.refuse(members.refused());
  if (const auto good = check_key(key); !good)
    return c.reply.refuse(refusal{good.error(), {{"/key", good.error().context}}});
  const auto state = find_agent(c.node(), *agent);
  if (!state)
    return c.reply.refuse(state.error());
  if (*at == 0 || *at > state->seq)
    return c.reply.refuse(refusal{
      {errc::schema, "`at` is a seq of the agent's history, 1 to " + std::to_string(state->seq)},
      {{"/at", "must be 1 to " + std::to_string(state->seq)}}});
  agent_name copy{agent->type, key};
  auto& node = c.node();
  const auto note = c.reply.note();
  node.fork(std::move(*agent), *at, key, note,
            [reply = std::move(c.reply), copy = std::move(copy)](const answer& told) {
              if (const auto* why = std::get_if<error>(&told))
                return reply.refuse(*why);
              reply.audited();
              answer_agent(reply, copy);
            });
}

}  // namespace holdfast
