#include "runtime/gateway/gateway.hpp"

#include "runtime/gateway/api_table.hpp"
#include "runtime/gateway/placement.hpp"
#include "runtime/gateway/stream_hub.hpp"
#include "runtime/gateway/trace_context.hpp"
#include "runtime/net/url.hpp"

namespace holdfast {

namespace {

constexpr std::size_t client_request_id_max = 128;

/// The client's own id when it can be sent back, else a new one.
std::string request_id_of(const net::http_request& request, services& at) {
  const auto given = request.header("x-request-id");
  if (!given.empty() && given.size() <= client_request_id_max && net::is_token(given))
    return std::string{given};
  return at.next_request_id();
}

constexpr std::size_t token_bytes_max = 256;

/// The one bearer token of a request; empty when there is none. Errors: `unauthorised`.
result<std::string_view> token_of(const net::http_request& request) {
  constexpr std::string_view scheme = "bearer ";
  const error unreadable{errc::unauthorised,
                         "send one header `Authorization: Bearer hf_…` with an API key"};
  std::string_view found;
  bool given = false;
  for (const auto& header : request.headers()) {
    if (!net::equals_ignoring_case(header.name, "authorization"))
      continue;
    if (given || header.value.size() <= scheme.size() ||
        !net::equals_ignoring_case(header.value.substr(0, scheme.size()), scheme))
      return unreadable;
    given = true;
    found = header.value.substr(scheme.size());
  }
  if (!given)
    return unreadable;
  if (found.size() > token_bytes_max)
    return error{errc::unauthorised, "this is not an API key of this node"};
  return found;
}

net::http_response unauthorised(const error& why, bool token_given) {
  auto response = problem(why);
  response.headers.emplace_back("WWW-Authenticate",
                                token_given ? "Bearer realm=\"holdfast\", error=\"invalid_token\""
                                            : "Bearer realm=\"holdfast\"");
  return response;
}

/// `type/key` of an agent's path, the id of another.
std::string subject_of(const call& c) {
  std::string out;
  for (std::size_t i = 0; i < c.parameters.count; ++i) {
    const auto text = c.parameter(i);
    out += (i == 0 ? "" : "/") + text.value_or(std::string{c.parameters[i]});
  }
  return out;
}

status check_access(const call& c, const api_call& row) {
  const auto& who = *c.reply.who();
  const auto method = c.request.method();
  if (auto role =
        check_permission(who, needed(row.access, method, row.method == "*"), method, row.path);
      !role)
    return role;
  switch (row.access.types) {
    case type_rule::nothing:
    case type_rule::found:
      break;
    case type_rule::path:
      if (const auto type = c.parameter(0))
        return check_type(who, *type);
      break;  // it names no type at all: the handler says so
    case type_rule::every:
      return check_every_type(who);
  }
  return ok_status();
}

/// Null when nothing is left of the call in the audit log.
std::shared_ptr<audit_ticket> ticket_for(const call& c, const api_call& row, bool allowed) {
  const auto effect = effect_of(row.access, c.request.method(), row.method == "*");
  const bool may_be_refused = !allowed || !c.reply.who()->scope.is_all();
  if (effect == call_effect::reads || (effect == call_effect::delivers && !may_be_refused))
    return nullptr;
  auto out = std::make_shared<audit_ticket>();
  out->refusals_only = effect == call_effect::delivers;
  out->entry.by = c.principal();
  out->entry.method = c.request.method();
  out->entry.route = row.path;
  out->entry.request_id = c.reply.request_id();
  out->entry.peer = c.request.peer;
  return out;
}

}  // namespace

gateway::gateway(backend& node, gateway_options opts)
  : services_(std::make_shared<services>(node, std::move(opts))) {
  auto routes = std::make_unique<router>();
  const auto calls = api_calls();
  for (std::size_t i = 0; i < calls.size(); ++i)
    routes->add(calls[i].method, calls[i].path, i);
  routes_ = std::move(routes);
}

gateway::~gateway() {
  services_->streams->shut_down();
  services_->waits.clear();  // clients that wait own the services that own their deadlines
}

void gateway::handle(net::http_request&& request, net::responder to) {
  dispatch(std::move(request), {}, std::move(to));
}

void gateway::handle_forwarded(net::http_request&& request, std::shared_ptr<const principal> who,
                               net::responder to) {
  dispatch(std::move(request), {std::move(who), true}, std::move(to));
}

namespace {

/// Adds one header to whatever is answered. That there is no such thing is not answered: it may be new.
class marked_exchange final : public net::exchange {
public:
  marked_exchange(net::responder to, std::string name, std::string value)
    : to_(std::move(to)), name_(std::move(name)), value_(std::move(value)) {}
  void send(net::http_response&& response) override {
    if (response.status == 404)
      response =
        problem(error{errc::no_quorum,
                      "no node leads this partition right now, and nothing of this is known here; "
                      "send again in a moment"});
    response.headers.emplace_back(name_, value_);
    to_.send(std::move(response));
  }
  net::stream_handle start_stream(net::http_response&& head) override {
    head.headers.emplace_back(name_, value_);
    return to_.start_stream(std::move(head));
  }
  void on_abort(std::function<void()> callback) override { to_.on_abort(std::move(callback)); }

private:
  const net::responder to_;
  const std::string name_;
  const std::string value_;
};

}  // namespace

void gateway::handle_stale(net::http_request&& request, std::shared_ptr<const principal> who,
                           std::int64_t stale_ms, net::responder to) {
  auto marked = std::make_shared<marked_exchange>(std::move(to), "X-Holdfast-Stale-Ms",
                                                  std::to_string(stale_ms));
  dispatch(std::move(request), {std::move(who), false}, net::responder{std::move(marked)});
}

void gateway::dispatch(net::http_request&& request, origin from, net::responder to) {
  answering reply{services_, to, request_id_of(request, *services_),
                  std::string{valid_traceparent(request.header("traceparent"))},
                  from.authorised != nullptr};
  const auto path = net::split_target(request.target()).path;
  auto found = routes_->match(request.method(), path);
  switch (found.what) {
    case router::outcome::kind::not_found:
      return reply.refuse(error{
        errc::not_found, "there is nothing at this path; GET /openapi.json lists what there is"});
    case router::outcome::kind::wrong_method: {
      auto response = problem(error{errc::method_not_allowed, "this path takes " + found.allow});
      response.headers.emplace_back("Allow", std::move(found.allow));
      return reply.send(std::move(response));
    }
    case router::outcome::kind::found:
      break;
  }
  const auto& row = api_calls()[found.number];
  if (!from.authorised && !services_->opts.takes_requests && !is_of_the_node(row))
    return reply.refuse(error{
      errc::not_available,
      "this node owns partitions and takes no requests (`roles: [worker]`): send this to a node "
      "with the role `gateway`; `holdfast node list` shows them"});
  auto who = from.authorised ? from.authorised : local_principal();
  if (!from.authorised && services_->opts.authenticate &&
      needed(row.access, request.method(), row.method == "*") != permission::none) {
    const auto token = token_of(request);
    auto known = token ? services_->opts.authenticate(*token)
                       : result<std::shared_ptr<const principal>>{token.error()};
    if (!known) {
      services_->unauthorised.fetch_add(1, std::memory_order_relaxed);
      return reply.send(unauthorised(known.error(), static_cast<bool>(token)));
    }
    who = std::move(*known);
  }
  call c{std::move(request), found.parameters, std::move(reply)};
  c.reply.identify(std::move(who), nullptr);
  const auto allowed = check_access(c, row);
  auto& node = services_->node;
  if (allowed && from.owner_needed && node.has_peers()) {
    if (const auto group = group_of(c, row); group && !node.owns(*group)) {
      if (from.authorised)
        return c.reply.refuse(error{errc::not_leader, "the partition moved; send again"});
      if (services_->opts.still_valid && is_reading(c.request.method()))
        to = services_->carried->watched(std::move(to), c.reply.who());
      return node.forward(*group, std::move(c.request), c.reply.who(), std::move(to));
    }
    if (const auto peer = peer_of(c, row)) {
      if (from.authorised)
        return c.reply.refuse(error{errc::conflict, "this is not `" + *peer + "`"});
      return node.forward_to(*peer, std::move(c.request), c.reply.who(), std::move(to));
    }
  }
  if (auto ticket = ticket_for(c, row, static_cast<bool>(allowed))) {
    c.reply.identify(c.reply.who(), std::move(ticket));
    c.reply.note_subject(subject_of(c));
  }
  if (!allowed)
    return c.reply.refuse(allowed.error());
  row.serve(std::move(c));
}

gateway_counters gateway::counters() const {
  return {services_->unauthorised, services_->forbidden, services_->audits_failed};
}

void gateway::tick() {
  const bool draining = services_->node.status().draining;
  services_->waits.run_due(draining ? INT64_MAX : services_->opts.steady_ms());
  if (services_->opts.still_valid)
    services_->carried->tick(services_->opts.still_valid);
  if (draining)
    services_->streams->close_all();
  else
    services_->streams->tick(services_->opts.steady_ms());
}

void gateway::state_replaced(group_id group) { services_->streams->close_all_of(group); }

net::http_response gateway::refusal(unsigned number, std::string_view reason) {
  return server_problem(number, reason);
}

}  // namespace holdfast
