#include "tests/unit/runtime_gateway/asking.hpp"

#include "runtime/gateway/api_table.hpp"
#include "runtime/gateway/metrics_text.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

std::string filled(std::string_view path) {
  std::string out;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '{') {
      out += path[i];
      continue;
    }
    out += "x";
    i = path.find('}', i);
  }
  return out;
}

}  // namespace

TEST_CASE("node: it lives, and is ready when it says so") {
  asking at;
  CHECK(at.ask("GET", "/healthz")->status() == 200);
  CHECK(at.ask("GET", "/readyz")->status() == 200);
  at.node.now_status = {false, false, "starting", "n1", "1", 0};
  CHECK(at.ask("GET", "/healthz")->status() == 200);
  const auto starting = at.ask("GET", "/readyz");
  CHECK(starting->status() == 503);
  CHECK(starting->code() == "no_quorum");
  CHECK(!starting->header("Retry-After").empty());
  at.node.now_status = {false, true, "draining", "n1", "1", 0};
  CHECK(at.ask("GET", "/readyz")->code() == "draining");
}

TEST_CASE("node: paths that are nowhere are not found, whatever they look like") {
  asking at;
  for (const auto* path :
       {"/", "", "*", "/v1", "/v1/", "//", "/v1/agents/a/b/c/d/e/f/g/h/i/j", "/healthz/",
        "/HEALTHZ", "/v1/agents/%2e%2e/%2e%2e/%2e%2e", "/v1%2Fagents", "/?x", "/v1/agents/a"})
    check_refused(at, at.ask("GET", path), 404, "not_found");
}

TEST_CASE("node: HEAD is served as GET") {
  asking at;
  CHECK(at.ask("HEAD", "/healthz")->status() == 200);
  CHECK(at.ask("OPTIONS", "/healthz")->status() == 405);
}

TEST_CASE("node: what a later release delivers is refused by name") {
  asking at;
  for (const auto& [method, path] :
       std::vector<std::pair<std::string, std::string>>{{"GET", "/v1/approvals"},
                                                        {"POST", "/v1/approvals/apr_1"},
                                                        {"GET", "/v1/schedules"},
                                                        {"POST", "/v1/schedules/a/pause"},
                                                        {"GET", "/v1/budgets"},
                                                        {"POST", "/v1/kill-switch"},
                                                        {"DELETE", "/v1/kill-switch/x"},
                                                        {"POST", "/v1/cluster/join"},
                                                        {"GET", "/console/"},
                                                        {"POST", "/v1/types/support/rollout"},
                                                        {"GET", "/v1/agents/support/a/socket"},
                                                        {"POST", "/v1/events/evt_1/replay"}}) {
    CAPTURE(path);
    const auto got = at.ask(method, path);
    check_refused(at, got, 422, "not_available");
    CHECK(got->body()["detail"].get<std::string>().find(method) != std::string::npos);
  }
}

TEST_CASE("node: the server's own refusals are problems too") {
  for (const auto& [number, reason, code] :
       std::vector<std::tuple<unsigned, std::string, std::string>>{
         {400, "malformed", "malformed"},
         {413, "body_too_large", "too_large"},
         {414, "target_too_long", "too_large"},
         {431, "header_too_large", "too_large"},
         {503, "too_many_connections", "overloaded"},
         {503, "buffers_full", "overloaded"},
         {500, "abandoned", "internal"},
         {408, "body_timeout", "malformed"}}) {
    const auto response = gateway::refusal(number, reason);
    CHECK(response.status == number);
    CHECK(response.content_type == "application/problem+json");
    const auto body = json::parse(response.body);
    CHECK(body["status"] == number);
    CHECK(body["code"] == code);
    for (const auto* member : {"type", "title", "detail"})
      CHECK(!body[member].get<std::string>().empty());
  }
}

TEST_CASE("node: metrics stand under their help and type, once") {
  const auto text = metrics_text({{"holdfast_log_records_total", {}, 7},
                                  {"holdfast_x", R"({a="1"})", 0.5},
                                  {"holdfast_http_streams", {}, 2},
                                  {"holdfast_x", R"({a="2"})", 1e18}});
  CHECK(text ==
        "# HELP holdfast_http_streams Event streams that are open\n"
        "# TYPE holdfast_http_streams gauge\n"
        "holdfast_http_streams 2\n"
        "# HELP holdfast_log_records_total Turn records committed since start\n"
        "# TYPE holdfast_log_records_total counter\n"
        "holdfast_log_records_total 7\n"
        "# HELP holdfast_x Not described\n"
        "# TYPE holdfast_x gauge\n"
        "holdfast_x{a=\"1\"} 0.5\n"
        "holdfast_x{a=\"2\"} 1e+18\n");
  asking at;
  const auto got = at.ask("GET", "/metrics");
  CHECK(got->answer->content_type.starts_with("text/plain; version=0.0.4"));
  CHECK(got->answer->body.find("holdfast_log_records_total 7\n") != std::string::npos);
}

TEST_CASE("openapi: every route is described, once, and every reference is there") {
  asking at;
  const auto document = at.ask("GET", "/openapi.json")->body();
  CHECK(document["openapi"] == "3.1.0");
  std::set<std::string> operations;
  std::set<std::string> tags;
  for (const auto& tag : document["tags"])
    tags.insert(tag["name"]);
  for (const auto& row : api_calls()) {
    if (row.method == "*")
      continue;
    CAPTURE(row.path);
    std::string method{row.method};
    for (auto& c : method)
      c = static_cast<char>(c - 'A' + 'a');
    REQUIRE(document["paths"].contains(std::string{row.path}));
    REQUIRE(document["paths"][std::string{row.path}].contains(method));
    const auto operation = document["paths"][std::string{row.path}][method];
    CHECK(operations.insert(operation["operationId"]).second);
    CHECK(tags.contains(operation["tags"][0]));
    CHECK(!operation["summary"].get<std::string>().empty());
    CHECK(operation.contains("security") == (row.access.needs == permission::none));
    for (auto open = row.path.find('{'); open != std::string_view::npos;
         open = row.path.find('{', open + 1)) {
      const std::string name{row.path.substr(open + 1, row.path.find('}', open) - open - 1)};
      bool described = false;
      for (const auto& parameter : operation["parameters"])
        described = described || (parameter["name"] == name && parameter["in"] == "path" &&
                                  parameter["required"] == true);
      CHECK(described);
    }
  }
  const auto text = document.dump();
  std::set<std::string> referred;
  for (auto found = text.find("#/components/schemas/"); found != std::string::npos;
       found = text.find("#/components/schemas/", found + 1)) {
    const auto begin = found + 21;
    referred.insert(text.substr(begin, text.find('"', begin) - begin));
  }
  for (const auto& name : referred)
    CHECK_MESSAGE(document["components"]["schemas"].contains(name), name);
  for (const auto& [name, schema] : document["components"]["schemas"].items())
    CHECK_MESSAGE(referred.contains(name), name);
}

TEST_CASE("api: every route leads to its own row") {
  router routes;
  const auto calls = api_calls();
  for (std::size_t i = 0; i < calls.size(); ++i)
    routes.add(calls[i].method, calls[i].path, i);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const auto found =
      routes.match(calls[i].method == "*" ? "DELETE" : calls[i].method, filled(calls[i].path));
    CAPTURE(calls[i].path);
    CHECK(found.what == router::outcome::kind::found);
    const bool same = calls[found.number].serve == calls[i].serve;
    CHECK(same);
  }
}

TEST_CASE("a worker answers for itself and the cluster, and sends others to a gateway") {
  gateway_options only_worker;
  only_worker.takes_requests = false;
  asking at{std::move(only_worker)};
  for (const auto* path : {"/healthz", "/readyz", "/metrics", "/v1/nodes", "/v1/cluster"})
    CHECK_MESSAGE(at.ask("GET", path)->status() == 200, path);
  check_refused(at, at.ask("GET", "/v1/agents"), 422, "not_available");
  check_refused(at, at.ask("POST", "/v1/agents/echo/a/events", R"({"data":1})"), 422,
                "not_available");
  // What another node has let in is answered.
  auto carried = std::make_shared<asked>();
  at.front.handle_forwarded(net::http_request::make("GET", "/v1/agents", {}, {}), local_principal(),
                            net::responder{carried});
  CHECK(carried->status() == 200);
}
