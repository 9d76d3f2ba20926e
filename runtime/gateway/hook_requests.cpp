// POST /v1/hooks/{source}: a delivery of another system becomes an event. And what hooks there are.

#include "runtime/gateway/requests.hpp"

#include "runtime/core/routing.hpp"
#include "runtime/gateway/documents.hpp"
#include "runtime/gateway/once.hpp"
#include "runtime/gateway/paging.hpp"
#include "runtime/gateway/signature.hpp"
#include "runtime/gateway/trace_context.hpp"

namespace holdfast {

namespace {

constexpr std::size_t delivery_id_bytes_max = 1'024;
constexpr std::size_t type_bytes_max = 256;

std::shared_ptr<const compiled_hook> hook_of(const call& c) {
  const auto source = c.parameter(0);
  const auto definitions = c.node().definitions();
  return source && definitions ? definitions->hook(*source) : nullptr;
}

const error no_such_hook{
  errc::not_found, "there is no hook of that name; `holdfast hook list` shows those there are"};

status check_sender(const compiled_hook& hook, const call& c) {
  if (hook.def.preset == hook_preset::none)
    return ok_status();
  std::vector<std::string> secrets;
  std::string missing;
  for (const auto& name : hook.def.secrets) {
    auto secret = c.at().opts.secret ? c.at().opts.secret(name)
                                     : result<std::string>{error{errc::not_found, {}}};
    if (secret)
      secrets.push_back(std::move(*secret));
    else
      missing = name;
  }
  if (secrets.empty())
    return error{errc::unavailable,
                 "no secret of this hook can be read on this node (" + missing + ")"};
  return check_signature(hook.def.hmac, secrets, c.request, c.node().now());
}

/// A jq program that must give a text.
result<std::string> text_by(const expression& program, std::string_view what,
                            std::string_view body) {
  const auto value = program.evaluate(body);
  const error bad{errc::malformed,
                  "the hook's `" + std::string{what} + "` gives no text for this body"};
  if (!value)
    return error{errc::malformed, bad.context + ": " + value.error().context};
  if (auto text = string_value(*value); text && !text->empty())
    return std::move(*text);
  if (number_value(*value))
    return *value;  // ids are numbers now and then
  return bad;
}

/// The event that a checked delivery means. Errors: `malformed`, `too_deep`, `too_large`.
result<event> event_of_delivery(const compiled_hook& hook, const call& c) {
  if (auto checked = check_body(c.request.body, c.at().opts.body); !checked)
    return checked.error();
  event out;
  out.source = hook.def.source;
  out.type = hook.def.source + ".received";
  out.id = to_hex(digest_of({c.request.body}));
  if (hook.type) {
    auto type = text_by(*hook.type, "type", c.request.body);
    if (!type)
      return type.error();
    out.type = std::move(*type);
  }
  if (hook.id) {
    auto id = text_by(*hook.id, "id", c.request.body);
    if (!id)
      return id.error();
    out.id = std::move(*id);
  }
  if (out.type.size() > type_bytes_max || out.id.size() > delivery_id_bytes_max)
    return error{errc::malformed, "the hook's `type` or `id` gives too long a text for this body"};
  out.traceparent = valid_traceparent(c.request.header("traceparent"));
  out.data = c.request.body;
  return out;
}

std::string_view verified_by(const compiled_hook& hook) noexcept {
  return hook.def.preset == hook_preset::hmac ? "hmac" : "none";
}

void answer_routed(const answering& reply, const routed_event& routed, const std::string& id,
                   const std::string& source) {
  std::string body;
  json_writer json{body};
  json.begin_object().field("kind", "accepted").key("events").begin_array().begin_object();
  json.field("event_id", to_string(routed.event)).field("id", id).field("source", source);
  json.key("agents").begin_array();
  for (const auto& route : routed.routes)
    if (route.matched)
      json.value(route.type + "/" + route.key);
  json.end_array().end_object().end_array().end_object();
  net::header_list headers{{"Location", "/v1/events/" + to_string(routed.event)}};
  if (routed.replayed)
    headers.emplace_back("Idempotent-Replayed", "true");
  reply.document(std::move(body), routed.replayed ? 200 : 202, std::move(headers));
}

}  // namespace

void post_hook(call&& c) {
  const auto hook = hook_of(c);
  if (!hook)
    return c.reply.refuse(no_such_hook);
  if (c.request.body.size() > c.at().opts.body.bytes_max)
    return c.reply.refuse(error{errc::too_large, "the body is larger than this node takes"});
  if (const auto checked = check_sender(*hook, c); !checked)
    return c.reply.refuse(checked.error());
  auto delivered = event_of_delivery(*hook, c);
  if (!delivered)
    return c.reply.refuse(delivered.error());
  const auto once = once_by_delivery(c, hook->def.source, delivered->id);
  auto& node = c.node();
  const std::string id = delivered->id;
  node.route(std::move(*delivered), std::string{verified_by(*hook)}, once, event_sender{},
             [reply = std::move(c.reply), id, source = hook->def.source](const answer& told) {
               if (const auto* routed = std::get_if<routed_event>(&told))
                 answer_routed(reply, *routed, id, source);
               else if (const auto* why = std::get_if<error>(&told))
                 reply.refuse(*why);
               else
                 reply.refuse(error{errc::internal, "an answer of another kind"});
             });
}

/// What a delivery would do: nothing is stored.
void test_hook(call&& c) {
  const auto hook = hook_of(c);
  if (!hook)
    return c.reply.refuse(no_such_hook);
  auto delivered = event_of_delivery(*hook, c);
  if (!delivered)
    return c.reply.refuse(delivered.error());
  const auto sender = check_sender(*hook, c);
  const auto found = find_routes(*c.node().definitions(), *delivered, event_id{},
                                 verified_by(*hook), c.node().partitions());
  std::string body;
  json_writer json{body};
  json.begin_object();
  json.field("kind", "hook_test");
  json.field("source", hook->def.source);
  json.field("verified", static_cast<bool>(sender));
  json.key("refused");
  if (sender)
    json.null();
  else
    json.begin_object()
      .field("code", to_string(public_code(sender.error().code)))
      .field("detail", sender.error().context)
      .end_object();
  json.key("event");
  write_event(json, *delivered, delivered->id, delivered->source);
  json.key("routes").begin_array();
  for (const auto& route : found.routes) {
    json.begin_object().field("type", route.type);
    if (!route.key.empty())
      json.field("agent", route.type + "/" + route.key);
    json.field("matched", route.matched).optional_field("reason", route.reason).end_object();
  }
  for (const auto& letter : found.unroutable)
    json.begin_object()
      .field("type", letter.agent.type)
      .field("matched", false)
      .field("reason", letter.reason)
      .end_object();
  json.end_array().end_object();
  c.reply.document(std::move(body));
}

void list_hooks(call&& c) {
  list_writer list;
  if (const auto definitions = c.node().definitions())
    for (const auto& [source, history] : definitions->hooks)
      write_hook(list.item(), history, source);
  c.reply.document(list.finish({}));
}

void get_hook(call&& c) {
  const auto source = c.parameter(0);
  const auto definitions = c.node().definitions();
  if (!source || !definitions)
    return c.reply.refuse(no_such_hook);
  const auto found = definitions->hooks.find(*source);
  if (found == definitions->hooks.end())
    return c.reply.refuse(no_such_hook);
  std::string body;
  json_writer json{body};
  write_hook(json, found->second, *source);
  c.reply.document(std::move(body));
}

}  // namespace holdfast
