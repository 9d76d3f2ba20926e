#include "runtime/gateway/gateway.hpp"

#include "runtime/gateway/api_table.hpp"
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
  answering reply{services_, std::move(to), request_id_of(request, *services_),
                  std::string{valid_traceparent(request.header("traceparent"))}};
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
  const auto serve = api_calls()[found.number].serve;
  serve(call{std::move(request), found.parameters, std::move(reply), "local"});
}

void gateway::tick() {
  const bool draining = services_->node.status().draining;
  services_->waits.run_due(draining ? INT64_MAX : services_->opts.steady_ms());
  if (draining)
    services_->streams->close_all();
  else
    services_->streams->tick(services_->opts.steady_ms());
}

net::http_response gateway::refusal(unsigned number, std::string_view reason) {
  return server_problem(number, reason);
}

}  // namespace holdfast
