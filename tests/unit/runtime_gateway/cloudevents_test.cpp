#include "tests/unit/runtime_gateway/asking.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

const net::header_list structured{{"Content-Type", "application/cloudevents+json"}};
const net::header_list batch{{"Content-Type", "application/cloudevents-batch+json; charset=utf-8"}};

std::string cloud_event(const std::string& id, const std::string& more = {}) {
  return R"({"specversion":"1.0","id":")" + id + R"(","source":"/shop","type":"order.paid")" +
         more + "}";
}

routed_event routed_to(const fake_node& node, std::vector<route> routes) {
  return {event_no(node, one, 3), std::move(routes), false};
}

}  // namespace

TEST_CASE("cloudevents: a structured event is routed with its attributes") {
  asking at;
  const auto got = at.ask(
    "POST", "/v1/events",
    cloud_event("e1", R"(,"subject":"s","time":"2026-01-02T03:04:05Z","data":{"n": 1},"ext":"x")"),
    structured);
  REQUIRE(at.node.routes.size() == 1);
  const auto& e = at.node.routes[0].what;
  CHECK(e.id == "e1");
  CHECK(e.source == "/shop");
  CHECK(e.type == "order.paid");
  CHECK(e.subject == "s");
  CHECK(e.data == R"({"n": 1})");
  CHECK(at.node.routes[0].verified == "none");
  REQUIRE(at.node.routes[0].once);
  CHECK(at.node.routes[0].once->body.empty());
  at.node.routes[0].tell(routed_to(at.node, {{"support", "a", true, {}, run_no(at.node, one, 3)},
                                             {"support", "", false, "where is false", {}}}));
  CHECK(got->status() == 202);
  CHECK(got->header("Location") == "/v1/events/" + to_string(event_no(at.node, one, 3)));
  CHECK(got->body()["kind"] == "accepted");
  CHECK(got->body()["events"] == json::array({{{"event_id", to_string(event_no(at.node, one, 3))},
                                               {"id", "e1"},
                                               {"source", "/shop"},
                                               {"agents", json::array({"support/a"})}}}));
}

TEST_CASE("cloudevents: an event without a route is accepted") {
  asking at;
  const auto got = at.ask("POST", "/v1/events", cloud_event("e1"), structured);
  at.node.routes[0].tell(routed_to(at.node, {}));
  CHECK(got->status() == 202);
  CHECK(got->body()["events"][0]["agents"].empty());
}

TEST_CASE("cloudevents: binary mode takes percent-decoded headers and any body") {
  asking at;
  at.ask("POST", "/v1/events", "raw \xff bytes",
         {{"ce-specversion", "1.0"},
          {"CE-ID", "e%201"},
          {"ce-source", "/shop%C3%A9"},
          {"ce-type", "t"},
          {"ce-subject", "a%25b"},
          {"ce-ext", "x"},
          {"Content-Type", "application/octet-stream"}});
  REQUIRE(at.node.routes.size() == 1);
  const auto& e = at.node.routes[0].what;
  CHECK(e.id == "e 1");
  CHECK(e.source == "/shopé");
  CHECK(e.subject == "a%b");
  CHECK(e.content_type == "application/octet-stream");
  CHECK(e.data == "raw \xff bytes");
}

TEST_CASE("cloudevents: binary JSON is checked") {
  asking at;
  const net::header_list headers{{"ce-specversion", "1.0"},
                                 {"ce-id", "1"},
                                 {"ce-source", "s"},
                                 {"ce-type", "t"},
                                 {"Content-Type", "application/json"}};
  check_refused(at, at.ask("POST", "/v1/events", "{", headers), 400, "malformed");
  at.ask("POST", "/v1/events", R"({"a":1})", headers);
  REQUIRE(at.node.routes.size() == 1);
  CHECK(at.node.routes[0].what.content_type.empty());
}

TEST_CASE("cloudevents: headers that do not decode, or come twice, are refused") {
  asking at;
  for (const auto& [name, value] :
       net::header_list{{"ce-subject", "%zz"}, {"ce-subject", "%ff"}, {"ce-id", "again"}}) {
    net::header_list headers{{"ce-specversion", "1.0"},
                             {"ce-id", "1"},
                             {"ce-source", "s"},
                             {"ce-type", "t"},
                             {"Content-Type", "application/json"},
                             {name, value}};
    check_refused(at, at.ask("POST", "/v1/events", "1", headers), 400, "malformed");
  }
}

TEST_CASE("cloudevents: what is required is asked for by name") {
  asking at;
  const auto got = at.ask("POST", "/v1/events", R"({"specversion":"0.3","data":1})", structured);
  check_refused(at, got, 422, "schema");
  std::set<std::string> pointers;
  const auto body = got->body();
  for (const auto& problem : body["errors"])
    pointers.insert(problem["pointer"]);
  CHECK(pointers == std::set<std::string>{"/id", "/source", "/type", "/specversion"});
  check_refused(
    at,
    at.ask("POST", "/v1/events", "1",
           {{"ce-specversion", "1.0"}, {"ce-id", "1"}, {"Content-Type", "application/json"}}),
    422, "schema");
}

TEST_CASE("cloudevents: text and base64 become bytes") {
  asking at;
  at.ask("POST", "/v1/events", cloud_event("1", R"(,"datacontenttype":"text/plain","data":"a\nb")"),
         structured);
  at.ask("POST", "/v1/events",
         cloud_event("2", R"(,"datacontenttype":"image/png","data_base64":"/w=="  )"), structured);
  REQUIRE(at.node.routes.size() == 2);
  CHECK(at.node.routes[0].what.data == "a\nb");
  CHECK(at.node.routes[1].what.data == "\xff");
  const auto bad =
    at.ask("POST", "/v1/events", cloud_event("3", R"(,"data_base64":"/x=")"), structured);
  CHECK(bad->status() == 422);
  const auto both =
    at.ask("POST", "/v1/events", cloud_event("3", R"(,"data_base64":"/w==","data":1)"), structured);
  CHECK(both->status() == 422);
  CHECK(at.node.routes.size() == 2);
}

TEST_CASE("cloudevents: a batch is routed one by one and answered once") {
  asking at;
  const auto got =
    at.ask("POST", "/v1/events", "[" + cloud_event("1") + "," + cloud_event("2") + "]", batch);
  REQUIRE(at.node.routes.size() == 2);
  CHECK(at.node.routes[0].once->scope != at.node.routes[1].once->scope);
  at.node.routes[1].tell(routed_to(at.node, {}));
  CHECK(!got->answer);
  at.node.routes[0].tell(routed_to(at.node, {}));
  CHECK(got->status() == 202);
  CHECK(got->body()["events"].size() == 2);
  CHECK(got->body()["events"][0]["id"] == "1");
}

TEST_CASE("cloudevents: a batch with one key gives each event a scope of its own") {
  asking at;
  auto headers = batch;
  headers.emplace_back("Idempotency-Key", "k");
  at.ask("POST", "/v1/events", "[" + cloud_event("1") + "," + cloud_event("2") + "]", headers);
  REQUIRE(at.node.routes.size() == 2);
  CHECK(at.node.routes[0].once->scope != at.node.routes[1].once->scope);
  CHECK(at.node.routes[0].once->body == at.node.routes[1].once->body);
}

TEST_CASE("cloudevents: one bad event refuses the whole batch before anything is routed") {
  asking at;
  const auto got =
    at.ask("POST", "/v1/events", "[" + cloud_event("1") + R"(,{"id":"2"},3])", batch);
  check_refused(at, got, 422, "schema");
  CHECK(got->body()["errors"][0]["pointer"] == "/1/source");
  check_refused(at, at.ask("POST", "/v1/events", "{}", batch), 422, "schema");
  check_refused(at, at.ask("POST", "/v1/events", "[", batch), 400, "malformed");
}

TEST_CASE("cloudevents: a batch has a limit, and may be empty") {
  gateway_options opts;
  opts.batch_events_max = 2;
  asking at{std::move(opts)};
  check_refused(
    at,
    at.ask("POST", "/v1/events",
           "[" + cloud_event("1") + "," + cloud_event("2") + "," + cloud_event("3") + "]", batch),
    413, "too_large");
  CHECK(at.ask("POST", "/v1/events", "[]", batch)->status() == 202);
}

TEST_CASE("cloudevents: a batch that failed in part names the parts") {
  asking at;
  const auto got =
    at.ask("POST", "/v1/events", "[" + cloud_event("1") + "," + cloud_event("2") + "]", batch);
  at.node.routes[0].tell(routed_to(at.node, {}));
  at.node.routes[1].tell(error{errc::overloaded, "full"});
  CHECK(got->status() == 503);
  CHECK(got->body()["errors"] == json::array({{{"pointer", "/1"}, {"detail", "overloaded"}}}));
}

TEST_CASE("cloudevents: other media are refused") {
  asking at;
  check_refused(at, at.ask("POST", "/v1/events", "x", {{"Content-Type", "text/plain"}}), 415,
                "unsupported_media");
  check_refused(
    at, at.ask("POST", "/v1/events", "x", {{"Content-Type", "application/cloudevents+xml"}}), 415,
    "unsupported_media");
}

TEST_CASE("cloudevents: one in either mode may be sent straight to an agent") {
  asking at;
  at.ask("POST", "/v1/agents/support/a/events", cloud_event("1", R"(,"data":1)"), structured);
  at.ask("POST", "/v1/agents/support/a/events", "1",
         {{"ce-specversion", "1.0"}, {"ce-id", "1"}, {"ce-source", "s"}, {"ce-type", "t"}});
  REQUIRE(at.node.submits.size() == 2);
  CHECK(std::get<deliver_event>(at.node.submits[0].cmd).event.type == "order.paid");
  CHECK(std::get<deliver_event>(at.node.submits[1].cmd).event.data == "1");
}
