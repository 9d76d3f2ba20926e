#include "actors/tool_call.hpp"

#include "actors/effect_request.hpp"
#include "actors/instrumented.hpp"
#include "runtime/model/http_failure.hpp"
#include "runtime/tool/http_tool.hpp"

namespace holdfast {

/// The client's answer on its way from the io thread.
struct tool_answer {
  std::shared_ptr<net::client_result> result;
};

}  // namespace holdfast

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(holdfast::tool_answer)

namespace holdfast {

namespace {

constexpr std::size_t read_bytes_max = 1 << 20;

/// One HTTP call; ends with its outcome. An exit cancels the call.
struct tool_call_state {
  static inline constexpr const char* name = "holdfast.tool_call";

  services_ptr services;
  effect_order order;
  net::call_handle call;
  std::vector<std::string> secrets;
  bool over = false;

  tool_call_state() = default;
  ~tool_call_state() { call.cancel(); }  // nothing when it is over
  tool_call_state(const tool_call_state&) = delete;
  tool_call_state& operator=(const tool_call_state&) = delete;

  /// Starts the call, or says why it is not made.
  std::optional<attempt_outcome> start(caf::event_based_actor* self) {
    auto request = prepare(*services, order);
    if (!request)
      return not_performed(
        request.error().code == errc::not_leader ? failure_kind::not_sent : failure_kind::rejected,
        std::string{to_string(request.error().code)}, request.error().context);
    const auto* declared = std::get_if<tool_requested>(&request->declared);
    const auto* tool = declared ? request->definition->tool(declared->tool) : nullptr;
    if (tool == nullptr || !std::holds_alternative<http_call>(tool->def.target))
      return not_performed(failure_kind::rejected, "unknown_tool",
                           "the definition has no HTTP tool " + order.effect.name);
    auto http = tool::build_request(
      *tool, declared->input, services->secret,
      idempotency_key(order.agent, {order.effect.run, order.effect.no}), request->traceparent);
    if (!http)
      return tool::refused(http.error());
    secrets = std::move(http->secrets);

    auto egress = std::make_shared<net::egress_policy>();
    egress->allow_loopback = services->loopback_allowed;
    for (const auto& rule : request->definition->def.egress_allow)
      if (!egress->allow(rule))
        return not_performed(failure_kind::rejected, "egress",
                             "`" + rule + "` is not an egress rule");

    net::client_request out;
    out.method = std::move(http->method);
    out.url = std::move(http->url);
    out.headers = std::move(http->headers);
    out.body = std::move(http->body);
    out.total_timeout = std::chrono::milliseconds{http->timeout_ms};
    out.first_byte_timeout = out.total_timeout;
    out.idle_timeout = out.total_timeout;
    out.connect_timeout = std::min(out.connect_timeout, out.total_timeout);
    out.response_bytes_max = read_bytes_max;
    out.truncate = true;
    out.replayable = order.effect.cls != effect_class::write;
    out.egress = std::move(egress);
    net::client_callbacks callbacks;
    callbacks.on_done = [me = caf::actor_cast<caf::actor>(self)](net::client_result&& done) {
      caf::anon_send(me, tool_answer{std::make_shared<net::client_result>(std::move(done))});
    };
    call = services->http->start(std::move(out), std::move(callbacks));
    return std::nullopt;
  }

  attempt_outcome outcome_of(net::client_result& done) const {
    using net::client_failure;
    if (done.failure == client_failure::none)
      return tool::outcome_of(
        {done.head.status, std::move(done.head.headers), std::move(done.body), done.truncated},
        services->now(), secrets);
    auto end =
      done.request_bytes_sent ? model::transport_end::broken : model::transport_end::not_sent;
    if (done.failure == client_failure::bad_url || done.failure == client_failure::bad_request ||
        done.failure == client_failure::refused_address)
      end = model::transport_end::refused;
    else if (done.failure == client_failure::cancelled && done.request_bytes_sent)
      end = model::transport_end::cancelled;
    return model::transport_outcome(end, "tool", done.detail);
  }
};

caf::behavior tool_call_behavior(untyped_self_pointer<tool_call_state> self, services_ptr services,
                                 effect_order order, shard_reports shard) {
  auto& state = self->state;
  state.services = std::move(services);
  state.order = std::move(order);
  const auto report = [self, shard](attempt_outcome outcome) {
    auto& s = self->state;
    s.over = true;
    self->send(shard, atom::outcome_v,
               effect_report{s.order.agent, completed(s.order, std::move(outcome))});
    self->quit();
  };
  if (auto refused = state.start(self)) {
    report(std::move(*refused));
    return {};
  }
  return {
    [self, report](tool_answer& answer) { report(self->state.outcome_of(*answer.result)); },
  };
}

}  // namespace

caf::actor spawn_tool_call(caf::local_actor& by, services_ptr services, effect_order order,
                           shard_reports shard) {
  return by.spawn(tool_call_behavior, std::move(services), std::move(order), std::move(shard));
}

}  // namespace holdfast
