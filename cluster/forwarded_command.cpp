#include "cluster/forwarded_command.hpp"

#include <algorithm>

#include "runtime/gateway/problem.hpp"
#include "schemas/codec.hpp"

namespace holdfast::forwarded {

namespace {

constexpr std::string_view scope_field = ":types";
constexpr std::string_view peer_field = ":peer";
constexpr std::string_view replayed_field = ":replayed";
constexpr std::string_view code_field = ":code";
constexpr std::string_view verb_field = ":verb";
constexpr std::string_view by_field = ":by";
constexpr std::string_view reason_field = ":reason";
constexpr std::string_view run_field = ":run";
constexpr std::string_view from_start_field = ":from-start";
constexpr std::string_view changed_field = ":changed";
constexpr std::string_view agent_field = ":agent";
constexpr std::string_view event_field = ":event";
constexpr std::string_view merged_field = ":merged";
constexpr unsigned status_accepted = 202;
constexpr unsigned status_done = 204;
constexpr unsigned status_unknown = 500;
constexpr std::string_view route_method = ":route";
constexpr std::string_view control_method = ":control";
constexpr std::string_view audit_method = ":audit";

constexpr std::string_view not_forwarded[] = {
  "connection", "content-length", "transfer-encoding", "authorization", "expect", "upgrade"};

bool is_forwarded(std::string_view name) {
  return std::none_of(std::begin(not_forwarded), std::end(not_forwarded),
                      [&](std::string_view one) { return net::equals_ignoring_case(one, name); });
}

std::string text_of(bool value) { return value ? "1" : "0"; }

std::string text_of(const type_scope& scope) {
  std::string out;
  for (const auto& type : scope.types)
    out += type + ' ';
  return out;
}

/// Roles, types and the name, a line each; the name comes last.
std::string text_of(const principal& who) {
  return std::to_string(who.roles.bits) + '\n' + text_of(who.scope) + '\n' + who.name;
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto end = text.find(' ');
    if (end != 0)
      out.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return out;
}

/// The second fact of a command's record, if there is one.
void put_once(const std::optional<idempotency>& once, turn_record& record) {
  if (once)
    record.facts.push_back(
      idempotency_recorded{once->scope, once->body, {}, {}, {}, once->expires});
}

std::optional<idempotency> once_of(const turn_record& record) {
  if (record.facts.size() < 2)
    return std::nullopt;
  const auto* known = std::get_if<idempotency_recorded>(&record.facts[1]);
  return known ? std::optional{idempotency{known->scope, known->body, known->expires}}
               : std::nullopt;
}

link::http_request put(const route_command& what, turn_record& record) {
  link::http_request out;
  out.method = route_method;
  out.headers.emplace_back(scope_field, text_of(what.sender.scope));
  record.facts.push_back(event_routed{{}, what.what, what.verified, {}, what.sender.by});
  put_once(what.once, record);
  return out;
}

link::http_request put(const control_command& what, turn_record& record) {
  link::http_request out;
  out.method = control_method;
  out.target = to_string(what.to);
  out.headers.emplace_back(
    verb_field, std::string(1, static_cast<char>('0' + static_cast<int>(what.what.verb))));
  out.headers.emplace_back(by_field, what.what.by);
  out.headers.emplace_back(reason_field, what.what.reason);
  out.headers.emplace_back(run_field, to_string(what.what.run));
  out.headers.emplace_back(from_start_field, text_of(what.what.from_start));
  record.facts.push_back(what.audit ? *what.audit : audit_recorded{});
  put_once(what.once, record);
  return out;
}

link::http_request put(const audit_command& what, turn_record& record) {
  link::http_request out;
  out.method = audit_method;
  record.facts.push_back(what.what);
  return out;
}

/// A command's owner may also be told what it answered to the same request before.
answer done_or_accepted(const link::http_head& head) {
  const auto is_set = [&](std::string_view name) { return field(head.headers, name) == "1"; };
  const auto agent = parse_agent_name(field(head.headers, agent_field));
  const auto run = parse_run_id(field(head.headers, run_field));
  const auto named = agent ? *agent : agent_name{};
  const auto about = run ? *run : run_id{};
  if (head.status == status_done)
    return command_done{named, about, is_set(changed_field)};
  const auto event = parse_event_id(field(head.headers, event_field));
  return accepted_event{named, event ? *event : event_id{}, about, is_set(merged_field),
                        is_set(replayed_field)};
}

}  // namespace

std::string_view field(const link::header_list& headers, std::string_view name) {
  for (const auto& [key, value] : headers)
    if (net::equals_ignoring_case(key, name))
      return value;
  return {};
}

link::http_request carried(net::http_request&& request, const principal& who) {
  link::http_request out;
  out.method = request.method();
  out.target = request.target();
  for (const auto& header : request.headers())
    if (is_forwarded(header.name))
      out.headers.emplace_back(header.name, header.value);
  out.headers.emplace_back(peer_field, request.peer);
  out.body = std::move(request.body);
  out.principal = text_of(who);
  return out;
}

net::http_request request_of(link::http_request&& sent) {
  std::string peer{field(sent.headers, peer_field)};
  std::erase_if(sent.headers, [](const auto& one) { return one.first.starts_with(':'); });
  auto out = net::http_request::make(sent.method, sent.target, sent.headers, std::move(sent.body));
  out.peer = std::move(peer);
  return out;
}

std::shared_ptr<const principal> principal_of(std::string_view text) {
  if (text == text_of(*local_principal()))
    return local_principal();
  principal out;
  const auto roles = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.size(), roles.size() + 1));
  const auto types = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.size(), types.size() + 1));
  for (const char digit : roles)
    out.roles.bits = static_cast<std::uint8_t>(out.roles.bits * 10 + (digit - '0'));
  out.scope.types = words_of(types);
  out.name = text;
  return std::make_shared<const principal>(std::move(out));
}

bool is_command(const link::http_request& request) { return request.method.starts_with(':'); }

link::http_request encode(const command& what) {
  turn_record record;
  auto out = std::visit([&](const auto& one) { return put(one, record); }, what);
  out.body = codec::encode(record);
  return out;
}

result<command> decode_command(const link::http_request& sent) {
  const error not_one{errc::malformed, "a command of another node does not parse"};
  auto record = codec::decode_record(sent.body);
  if (!record || record->facts.empty())
    return not_one;
  auto once = once_of(*record);
  auto& first = record->facts.front();
  if (auto* routed = std::get_if<event_routed>(&first); routed && sent.method == route_method)
    return command{
      route_command{std::move(routed->event),
                    std::move(routed->verified),
                    std::move(once),
                    {std::move(routed->by), {words_of(field(sent.headers, scope_field))}}}};
  auto* audited = std::get_if<audit_recorded>(&first);
  if (audited && sent.method == audit_method)
    return command{audit_command{std::move(*audited)}};
  auto agent = parse_agent_name(sent.target);
  const auto verb = field(sent.headers, verb_field);
  if (!audited || sent.method != control_method || !agent || verb.size() != 1)
    return not_one;
  control_command out{std::move(*agent), {}, std::move(once), nullptr};
  out.what.verb = static_cast<control_verb>(verb.front() - '0');
  out.what.by = field(sent.headers, by_field);
  out.what.reason = field(sent.headers, reason_field);
  const auto run = parse_run_id(field(sent.headers, run_field));
  if (!run)
    return not_one;
  out.what.run = *run;
  out.what.from_start = field(sent.headers, from_start_field) == "1";
  if (!audited->method.empty())
    out.audit = std::make_shared<const audit_recorded>(std::move(*audited));
  return command{std::move(out)};
}

net::http_response response_of(const answer& told) {
  net::http_response out;
  if (const auto* why = std::get_if<error>(&told)) {
    out = problem(*why);
    out.headers.emplace_back(code_field, to_string(why->code));
    out.body = why->context;
  } else if (const auto* routed = std::get_if<routed_event>(&told)) {
    turn_record record;
    record.facts.push_back(event_routed{routed->event, {}, {}, routed->routes});
    out.body = codec::encode(record);
    out.headers.emplace_back(replayed_field, text_of(routed->replayed));
  } else if (const auto* accepted = std::get_if<accepted_event>(&told)) {
    out.status = status_accepted;
    out.headers.emplace_back(agent_field, to_string(accepted->agent));
    out.headers.emplace_back(event_field, to_string(accepted->event));
    out.headers.emplace_back(run_field, to_string(accepted->run));
    out.headers.emplace_back(merged_field, text_of(accepted->merged));
    out.headers.emplace_back(replayed_field, text_of(accepted->replayed));
  } else if (const auto* done = std::get_if<command_done>(&told)) {
    out.status = status_done;
    out.headers.emplace_back(agent_field, to_string(done->agent));
    out.headers.emplace_back(run_field, to_string(done->run));
    out.headers.emplace_back(changed_field, text_of(done->changed));
  } else {
    out.status = status_unknown;
  }
  return out;
}

answer answer_of(const link::http_head& head, const std::string& body) {
  if (const auto code = field(head.headers, code_field); !code.empty())
    return error{errc_from_string(code), body};
  if (head.status == status_done || head.status == status_accepted)
    return done_or_accepted(head);
  auto record = codec::decode_record(body);
  if (!record || record->facts.empty())
    return error{errc::unknown_outcome, {}};
  auto* routed = std::get_if<event_routed>(&record->facts.front());
  if (!routed)
    return error{errc::unknown_outcome, {}};
  return routed_event{routed->id, std::move(routed->routes),
                      field(head.headers, replayed_field) == "1"};
}

}  // namespace holdfast::forwarded
