// POST /v1/agents:batch: one verb for every agent that a jq expression matches.

#include "runtime/gateway/requests.hpp"

#include <mutex>

#include "runtime/gateway/agent_filter.hpp"
#include "runtime/gateway/lookup.hpp"
#include "runtime/gateway/once.hpp"
#include "runtime/gateway/paging.hpp"

namespace holdfast {

namespace {

constexpr std::size_t in_flight_max = 64;
constexpr std::size_t agents_max = 10'000;  // of one batch; the rest by calling again
constexpr std::size_t failures_shown_max = 100;

struct batch_request {
  control cmd;
  agent_filter filter;
  bool dry_run = false;
};

std::optional<control_verb> verb_of(std::string_view name) noexcept {
  for (const auto one :
       {control_verb::pause, control_verb::resume, control_verb::cancel, control_verb::kill,
        control_verb::quarantine, control_verb::retry, control_verb::remove})
    if (to_string(one) == name)
      return one;
  return std::nullopt;
}

std::optional<refusal> read_batch(const call& c, batch_request& out) {
  const auto kind = media_of(c.request.header("content-type"));
  if (kind != media::json && kind != media::none)
    return refusal{
      unsupported_media(c.request.header("content-type"), "application/json {\"verb\", \"where\"}"),
      {}};
  if (auto checked = check_body(c.request.body, c.at().opts.body); !checked)
    return refusal{checked.error(), {}};
  member_reader members{c.request.body, {"verb", "where", "dry_run", "reason", "from_start"}};
  members.require("verb", "pause, resume, cancel, kill, quarantine, retry or delete");
  members.require("where", "jq over the agent document, for example .type == \"support\"");
  const auto verb = verb_of(members.text("verb"));
  if (members.good() && !verb)
    members.note("/verb", "must be pause, resume, cancel, kill, quarantine, retry or delete");
  const auto where = members.text("where");
  if (members.good() && where.empty())
    members.note("/where", "must not be empty");
  out.dry_run = members.flag("dry_run");
  out.cmd.reason = members.text("reason");
  out.cmd.from_start = members.flag("from_start");
  if (!members.good())
    return members.refused();
  auto filter = agent_filter_of({}, {}, where, c.at().opts.with);
  if (!filter)
    return refusal{filter.error(), {{"/where", filter.error().context}}};
  out.filter = std::move(*filter);
  c.reply.note_subject(std::string{to_string(*verb)} + " where " + std::string{where});
  out.cmd.verb = *verb;
  out.cmd.by = c.principal();
  return std::nullopt;
}

/// Agents that match and that the key is for. One that is quarantined stays out of batches.
result<std::vector<agent_name>> find_agents(const answering& reply, const agent_filter& filter,
                                            bool& more) {
  auto& node = reply.at().node;
  std::vector<agent_name> out;
  const auto ranges =
    of_all_partitions(node.partitions(), [](group_id group) { return keys::agents(group); });
  merged_scan scan{node.records(), family::snapshot, ranges, false};
  for (; scan.valid(); scan.next()) {
    const auto state = codec::decode_agent_state(scan.value());
    if (!state)
      return state.error();
    if (state->quarantined || !reply.sees(state->name.type) ||
        !matches(filter, {*state, current_version(node, state->name.type)}))
      continue;
    if (out.size() == agents_max) {
      more = true;
      break;
    }
    out.push_back(state->name);
  }
  if (const auto walked = scan.state(); !walked)
    return walked.error();
  return out;
}

/// A batch under way: a bounded number of commands at once; the last answer answers the client.
class batch : public std::enable_shared_from_this<batch> {
public:
  batch(answering reply, control cmd, std::vector<agent_name> agents, bool more)
    : reply_(std::move(reply)), cmd_(std::move(cmd)), agents_(std::move(agents)), more_(more) {}

  /// How each command is recognised when the same batch is sent again.
  std::vector<std::optional<idempotency>> once;

  void start() {
    if (agents_.empty())
      return finish();
    pump();
  }

  void finish() {
    std::string body;
    json_writer json{body};
    json.begin_object();
    json.field("kind", "batch");
    json.field("verb", to_string(cmd_.verb));
    json.field("matched", agents_.size());
    json.field("done", done_);
    json.key("failed").begin_array();
    for (std::size_t i = 0; i < failed_.size() && i < failures_shown_max; ++i) {
      json.begin_object();
      json.field("agent", to_string(agents_[failed_[i].first]));
      json.field("code", to_string(public_code(failed_[i].second.code)));
      json.field("detail", failed_[i].second.context);
      json.end_object();
    }
    json.end_array();
    json.field("failures", failed_.size());
    json.field("more", more_);
    json.end_object();
    reply_.document(std::move(body));
  }

private:
  /// Submits while there is room. An answer may come before `submit` returns, and then does not
  /// recurse.
  void pump() {
    std::unique_lock lock{mutex_};
    if (pumping_)
      return;
    pumping_ = true;
    while (next_ < agents_.size() && in_flight_ < in_flight_max) {
      const std::size_t at = next_++;
      ++in_flight_;
      lock.unlock();
      reply_.at().node.submit(
        agents_[at], cmd_, once[at], false, note_for(agents_[at]),
        [self = shared_from_this(), at](const answer& told) { self->tell(at, told); });
      lock.lock();
    }
    pumping_ = false;
    const bool over = next_ == agents_.size() && in_flight_ == 0 && !finished_;
    finished_ = finished_ || over;
    lock.unlock();
    if (over)
      finish();
  }

  /// Each agent's record names the batch; the batch itself is audited when it is answered.
  audit_note note_for(const agent_name& name) const {
    const auto whole = reply_.note();
    if (!whole)
      return nullptr;
    auto own = std::make_shared<audit_recorded>(*whole);
    own->subject = std::string{to_string(cmd_.verb)} + " " + to_string(name);
    return own;
  }

  void tell(std::size_t at, const answer& told) {
    {
      std::lock_guard lock{mutex_};
      --in_flight_;
      if (const auto* why = std::get_if<error>(&told))
        failed_.emplace_back(at, *why);
      else
        ++done_;
    }
    pump();
  }

  const answering reply_;
  const control cmd_;
  const std::vector<agent_name> agents_;
  const bool more_;
  std::mutex mutex_;
  std::size_t next_ = 0;
  std::size_t in_flight_ = 0;
  std::size_t done_ = 0;
  std::vector<std::pair<std::size_t, error>> failed_;
  bool pumping_ = false;
  bool finished_ = false;
};

void run_batch(const call& c, const batch_request& wanted, std::string_view key) {
  bool more = false;
  auto agents = find_agents(c.reply, wanted.filter, more);
  if (!agents)
    return c.reply.refuse(agents.error());
  std::vector<std::optional<idempotency>> once;
  if (!wanted.dry_run)
    for (const auto& name : *agents)
      once.push_back(key.empty() ? std::optional<idempotency>{}
                                 : std::optional{once_by_key(c, key, to_string(name))});
  auto under_way = std::make_shared<batch>(c.reply, wanted.cmd, std::move(*agents), more);
  under_way->once = std::move(once);
  if (wanted.dry_run)
    c.reply.audited();  // nothing is changed
  if (wanted.dry_run)
    under_way->finish();
  else
    under_way->start();
}

}  // namespace

void control_many(call&& c) {
  const auto key = idempotency_key_of(c);
  if (!key)
    return c.reply.refuse(key.error());
  batch_request wanted;
  if (const auto refused = read_batch(c, wanted))
    return c.reply.refuse(*refused);
  auto& at = c.at();
  at.offload([held = std::make_shared<call>(std::move(c)), wanted = std::move(wanted),
              key = std::string{*key}] { run_batch(*held, wanted, key); });
}

}  // namespace holdfast
