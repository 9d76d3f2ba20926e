// The node itself: health, metrics, doctor, the API's description, and what is not there yet.

#include "runtime/gateway/requests.hpp"

#include "runtime/gateway/api_table.hpp"
#include "runtime/gateway/doctor.hpp"
#include "runtime/gateway/json_writer.hpp"
#include "runtime/gateway/metrics_text.hpp"
#include "runtime/gateway/openapi.hpp"

namespace holdfast {

namespace {

/// The table's row of a request.
const api_call* row_of(const call& c) {
  router routes;
  const auto calls = api_calls();
  for (std::size_t i = 0; i < calls.size(); ++i)
    routes.add(calls[i].method, calls[i].path, i);
  const auto found = routes.match(c.request.method(), c.path());
  return found.what == router::outcome::kind::found ? &calls[found.number] : nullptr;
}

}  // namespace

void get_health(call&& c) {
  std::string body;
  json_writer{body}.begin_object().field("kind", "health").field("status", "ok").end_object();
  c.reply.document(std::move(body), 200, {{"Cache-Control", "no-store"}});
}

void get_readiness(call&& c) {
  const auto now = c.node().status();
  if (!now.ready) {
    const std::string why = now.why_not.empty() ? "starting" : now.why_not;
    return c.reply.refuse(error{now.draining ? errc::draining : errc::no_quorum,
                                "this node takes no work yet: " + why + "; ask again"});
  }
  std::string body;
  json_writer json{body};
  json.begin_object().field("kind", "readiness").field("status", "ready");
  json.field("node", now.node).field("version", now.version).end_object();
  c.reply.document(std::move(body), 200, {{"Cache-Control", "no-store"}});
}

void get_metrics(call&& c) {
  net::http_response response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  auto values = c.node().metrics();
  const auto& at = c.at();
  const auto add = [&](const char* name, const char* labels, const auto& count) {
    values.push_back({name, labels, static_cast<double>(count.load(std::memory_order_relaxed))});
  };
  add("holdfast_auth_refused_total", "{reason=\"unauthorised\"}", at.unauthorised);
  add("holdfast_auth_refused_total", "{reason=\"forbidden\"}", at.forbidden);
  add("holdfast_audit_failed_total", "", at.audits_failed);
  response.body = metrics_text(std::move(values));
  c.reply.send(std::move(response));
}

void get_doctor(call&& c) {
  c.at().offload([reply = c.reply] {
    auto& node = reply.at().node;
    reply.document(examine(node.records(), node.partitions(), reply.at().opts.digest));
  });
}

void get_openapi(call&& c) {
  static const std::string document = openapi_document(api_calls());
  c.reply.document(document);
}

void refuse_not_available(call&& c) {
  const auto* row = row_of(c);
  const std::string what = row != nullptr ? std::string{row->operation} : "this";
  c.reply.refuse(
    error{errc::not_available, what + " (" + std::string{c.request.method()} + " " +
                                 (row != nullptr ? std::string{row->path} : std::string{c.path()}) +
                                 ") is not part of this release"});
}

}  // namespace holdfast
