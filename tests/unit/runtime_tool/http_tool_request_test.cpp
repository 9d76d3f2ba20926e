#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include <vector>

#include "runtime/net/url.hpp"
#include "runtime/tool/http_tool.hpp"

using namespace holdfast;
using namespace holdfast::tool;

namespace {

constexpr const char* base = "http://127.0.0.1:9100";

compiled_tool tool_for(std::string method, std::string url) {
  compiled_tool out;
  out.def.name = "t";
  http_call call;
  call.method = std::move(method);
  call.url = std::move(url);
  call.timeout_ms = 10'000;
  out.def.target = std::move(call);
  return out;
}

http_call& call_of(compiled_tool& tool) { return std::get<http_call>(tool.def.target); }

result<std::string> secrets(std::string_view name) {
  if (name == "billing")
    return std::string{"s3cr3t"};
  if (name == "split")
    return std::string{"a\r\nX-Evil: 1"};
  return error{errc::not_found, "no secret `" + std::string{name} + "`"};
}

result<http_request> build(const compiled_tool& tool, std::string_view input) {
  return build_request(tool, input, secrets, "payment/cus_1/run_x/3");
}

std::string header(const http_request& request, std::string_view name) {
  std::string out;
  for (const auto& [key, value] : request.headers)
    if (net::equals_ignoring_case(key, name))
      out += (out.empty() ? "" : "|") + value;
  return out;
}

class fixed_body final : public expression {
public:
  explicit fixed_body(result<std::string> value) : value_(std::move(value)) {}
  result<std::string> evaluate(std::string_view) const override { return value_; }

private:
  result<std::string> value_;
};

}  // namespace

TEST_CASE("http tool request: inputs go into path, query and body by their place") {
  struct row {
    const char* method;
    std::string url;
    const char* input;
    std::string expected_url;
    const char* body;
  };
  const std::string at = base;
  const std::vector<row> rows = {
    {"GET", at + "/invoices/{id}", R"({"id":"in_1"})", at + "/invoices/in_1", ""},
    {"GET", at + "/invoices/{id}", R"({"id":42})", at + "/invoices/42", ""},
    {"GET", at + "/invoices/{id}", R"({"id":12345678901234567890123})",
     at + "/invoices/12345678901234567890123", ""},
    {"GET", at + "/flags/{on}", R"({"on":true})", at + "/flags/true", ""},
    {"GET", at + "/i/{id}", R"({"id":"a b/ü?#%&+"})", at + "/i/a%20b%2F%C3%BC%3F%23%25%26%2B", ""},
    {"GET", at + "/i/{id}", R"({"id":"../admin"})", at + "/i/..%2Fadmin", ""},
    {"GET", at + "/i/{id}", R"({"id":"%2e%2e"})", at + "/i/%252e%252e", ""},
    {"GET", at + "/i/{id}", R"({"id":"..."})", at + "/i/...", ""},
    {"GET", at + "/i/{a}-{b}/{a}", R"({"a":"1","b":"2"})", at + "/i/1-2/1", ""},
    {"GET", at + "/s", R"({"q":"a&b=c","n":1.50,"t":false,"none":null})",
     at + "/s?q=a%26b%3Dc&n=1.50&t=false", ""},
    {"GET", at + "/s", R"({"k":["a",1,null],"o":{"x":[1]},"l":[[1]]})",
     at + "/s?k=a&k=1&k=null&o=%7B%22x%22%3A%5B1%5D%7D&l=%5B%5B1%5D%5D", ""},
    {"GET", at + "/s", R"({"a=b&":"1"})", at + "/s?a%3Db%26=1", ""},
    {"GET", at + "/s?fixed=1", R"({"q":"x"})", at + "/s?fixed=1&q=x", ""},
    {"GET", at + "/s?for={q}", R"({"q":".. &"})", at + "/s?for=..%20%26", ""},
    {"GET", at + "/s?for={q}", R"({"q":""})", at + "/s?for=", ""},
    {"GET", at + "/s#frag", R"({})", at + "/s", ""},
    {"GET", at, R"({"q":"x"})", at + "/?q=x", ""},
    {"GET", at + "?a=1", R"({})", at + "/?a=1", ""},
    {"HEAD", at + "/s", R"({"q":"x"})", at + "/s?q=x", ""},
    {"delete", at + "/s/{id}", R"({"id":"1","force":true})", at + "/s/1?force=true", ""},
    {"POST", at + "/i/{id}/refund", R"({"id":"in_1","amount":12.50,"big":12345678901234567890123})",
     at + "/i/in_1/refund", R"({"amount":12.50,"big":12345678901234567890123})"},
    {"POST", at + "/i", "{ \"a\" : { \"b\": [1, 2] } }", at + "/i", "{\"a\":{ \"b\": [1, 2] }}"},
    {"POST", at + "/i/{id}", R"({"id":"1"})", at + "/i/1", "{}"},
    {"POST", at + "/i", "", at + "/i", "{}"},
    {"PUT", at + "/i", "null", at + "/i", "{}"},
    {"PATCH", at + "/i", R"({"a\"b":"\u00e9"})", at + "/i", R"({"a\"b":"\u00e9"})"},
    {"POST", at + "/i/{id}", R"({"id":"a","id":"b","x":1,"x":2})", at + "/i/b",
     R"({"x":2})"},  // the last counts
  };
  for (const auto& [method, url, input, expected_url, body] : rows) {
    CAPTURE(url);
    CAPTURE(input);
    const auto got = build(tool_for(method, url), input);
    if (!got) {
      FAIL_CHECK(got.error().context);
      continue;
    }
    CHECK(got->url == expected_url);
    CHECK(got->body == body);
    CHECK(header(*got, "content-type") == (got->body.empty() ? "" : "application/json"));
    CHECK(header(*got, "idempotency-key") == "payment/cus_1/run_x/3");
    CHECK(got->timeout_ms == 10'000);
    CHECK(net::parse_url(got->url)->origin() == base);
  }
  CHECK(build(tool_for("delete", base), "{}")->method == "DELETE");
}

TEST_CASE("http tool request: inputs that do not fit their place are refused") {
  const std::string at = base;
  struct row {
    std::string url;
    std::string input;
    const char* said;
  };
  const std::vector<row> rows = {
    {at + "/i/{id}", R"({})", "`id` is missing"},
    {at + "/i/{id}", R"({"ID":"1"})", "`id` is missing"},
    {at + "/i/{id}", R"({"id":null})", "must be a string"},
    {at + "/i/{id}", R"({"id":{}})", "must be a string"},
    {at + "/i/{id}", R"({"id":["a"]})", "must be a string"},
    {at + "/i/{id}", R"({"id":""})", "must not be empty"},
    {at + "/i/{id}", R"({"id":"."})", "must not be empty, `.` or `..`"},
    {at + "/i/{id}", R"({"id":".."})", "must not be empty, `.` or `..`"},
    {at + "/i/{id}", R"({"id":"\u002e."})", "must not be empty, `.` or `..`"},
    {at + "/i/.{id}", R"({"id":"."})", "must not be empty"},
    {at + "/i/{a}{b}/x", R"({"a":".","b":"x"})", "must not be empty"},
    {at + "/i/.{id}/x", R"({"id":"%"})", ""},  // fine
    {at + "/i/%2e{id}", R"({"id":"."})", "must not be empty"},
    {at + "/i/{id}", "{\"id\":\"a\\u0000b\"}", "NUL"},
    {at + "/i", "[1]", "not a JSON object"},
    {at + "/i", "\"x\"", "not a JSON object"},
    {at + "/i", "{\"a\":", "not a JSON object"},
    {at + "/i", "{\"a\":\"\xFF\"}", "not a JSON object"},
    {at + "/i", "{\"a\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}",
     "nested too deep"},
    {at + "/i/{id", R"({"id":"1"})", "without `}`"},
    {at + "/i/${secret:billing}", R"({})", "`secret:billing` is missing"},
  };
  for (const auto& [url, input, said] : rows) {
    CAPTURE(url);
    const auto got = build(tool_for("GET", url), input);
    if (*said == '\0') {
      CHECK(got);
      continue;
    }
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::schema);
    CHECK(got.error().context.find(said) != std::string::npos);
    const auto out = refused(got.error());
    CHECK(out.failure_reason == failure_kind::rejected);
    CHECK(out.error.code == "bad_input");
  }
}

TEST_CASE("http tool request: dots beside an input are fine while they make no step in the path") {
  for (const char* url : {"/i/.{id}/x", "/i/{id}./x", "/i/%2E{id}/x"}) {
    CAPTURE(url);
    CHECK(build(tool_for("GET", std::string{base} + url), R"({"id":"a"})"));
  }
}

TEST_CASE("http tool request: inputs cannot be part of scheme, host or port") {
  const std::vector<const char*> urls = {"http://{host}/x",
                                         "http://h.example{host}/x",
                                         "http://h:{host}/x",
                                         "{host}://h/x",
                                         "{host}",
                                         "http://{host}",
                                         "http://h.example:80{host}",
                                         "http://{host}@h.example/",
                                         "//h/{host}",
                                         "/relative/{host}",
                                         "ftp://h/{host}",
                                         "http://h.example\\{host}/"};
  for (const auto* url : urls) {
    CAPTURE(url);
    const auto got = build(tool_for("GET", url), R"({"host":"evil.example"})");
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::schema);
  }
  for (const char* value : {"@evil.example", ":99", "//evil.example", "\\\\evil.example", "#@evil",
                            "?x", "http://evil.example/"}) {
    const auto got =
      build(tool_for("GET", std::string{base} + "/{p}"), nlohmann::json{{"p", value}}.dump());
    REQUIRE(got);
    CHECK(net::parse_url(got->url)->origin() == base);
    CHECK(net::parse_url(got->url)->query.empty());
  }
}

TEST_CASE("http tool request: size is bounded") {
  const auto tool = tool_for("POST", std::string{base} + "/i");
  const auto large = build(tool, "{\"a\":\"" + std::string(10 << 20, 'x') + "\"}");
  REQUIRE_FALSE(large);
  CHECK(large.error().code == errc::too_large);
  const auto long_url = build(tool_for("GET", std::string{base} + "/i"),
                              "{\"a\":\"" + std::string(9 << 10, 'x') + "\"}");
  REQUIRE_FALSE(long_url);
  CHECK(long_url.error().code == errc::too_large);
  CHECK(build(tool, "{\"a\":\"" + std::string(9 << 10, 'x') + "\"}"));
}

TEST_CASE("http tool request: secrets are put into headers when the call is made") {
  auto tool = tool_for("GET", base);
  call_of(tool).headers = {{"Authorization", "Bearer ${secret:billing}"},
                           {"X-Two", "${secret:billing}-${secret:billing}$"}};
  const auto got = build(tool, "{}");
  REQUIRE(got);
  CHECK(header(*got, "authorization") == "Bearer s3cr3t");
  CHECK(header(*got, "x-two") == "s3cr3t-s3cr3t$");
  CHECK(got->secrets == std::vector<std::string>{"s3cr3t", "s3cr3t", "s3cr3t"});
}

TEST_CASE(
  "http tool request: headers that would break the request apart are refused, without showing a "
  "secret") {
  struct row {
    std::pair<std::string, std::string> header;
    errc code;
    const char* outcome;
  };
  const std::vector<row> rows = {
    {{"X", "${secret:none}"}, errc::not_found, "secret_unavailable"},
    {{"X", "${secret:billing"}, errc::schema, "bad_input"},
    {{"X", "${secret:split}"}, errc::forbidden, "bad_header"},
    {{"X", "a\nb"}, errc::forbidden, "bad_header"},
    {{"X\r\nY", "a"}, errc::forbidden, "bad_header"},
    {{"", "a"}, errc::forbidden, "bad_header"},
    {{"Host", "evil.example"}, errc::forbidden, "bad_header"},
    {{"content-length", "0"}, errc::forbidden, "bad_header"},
    {{"Transfer-Encoding", "chunked"}, errc::forbidden, "bad_header"},
  };
  for (const auto& [given, code, outcome] : rows) {
    CAPTURE(given.second);
    auto tool = tool_for("GET", base);
    call_of(tool).headers = {given};
    const auto got = build(tool, "{}");
    REQUIRE_FALSE(got);
    CHECK(got.error().code == code);
    CHECK(got.error().context.find("Evil") == std::string::npos);
    CHECK(refused(got.error()).error.code == outcome);
  }
}

TEST_CASE("http tool request: the idempotency key and the trace are Holdfast's own") {
  auto tool = tool_for("POST", base);
  call_of(tool).headers = {{"idempotency-key", "mine"},
                           {"Traceparent", "mine"},
                           {"Content-Type", "text/plain"},
                           {"Accept", "x/y"}};
  auto got = build_request(tool, "{}", secrets, "t/kü\n/run/1", "00-abc-def-01");
  REQUIRE(got);
  CHECK(header(*got, "idempotency-key") == "t/k%C3%BC%0A/run/1");
  CHECK(header(*got, "traceparent") == "00-abc-def-01");
  CHECK(header(*got, "content-type") == "text/plain");
  CHECK(header(*got, "accept") == "x/y");
  got = build_request(tool, "{}", secrets, "k", "a\r\nb");
  CHECK(header(*got, "traceparent").empty());
}

TEST_CASE("http tool request: a declared body overrides") {
  const auto with_body = [](const char* method, result<std::string> value,
                            const char* type = nullptr) {
    auto tool = tool_for(method, std::string{base} + "/x/{id}");
    if (type != nullptr)
      call_of(tool).headers = {{"Content-Type", type}};
    tool.body = std::make_shared<fixed_body>(std::move(value));
    return build(tool, R"({"id":"1","q":"2"})");
  };
  auto got = with_body("POST", std::string{R"({"made":true})"});
  CHECK(got->body == R"({"made":true})");
  CHECK(got->url == std::string{base} + "/x/1");
  got = with_body("DELETE", std::string{"[1]"});
  CHECK(got->body == "[1]");
  CHECK(got->url == std::string{base} + "/x/1");  // the rest is in the body, not in the query
  CHECK(with_body("POST", std::string{"null"})->body.empty());
  CHECK(with_body("POST", std::string{"\"a=1&b=2\""})->body == "\"a=1&b=2\"");
  CHECK(with_body("POST", std::string{"\"a=1&b=2\""}, "application/x-www-form-urlencoded")->body ==
        "a=1&b=2");
  CHECK(with_body("POST", std::string{"\"a\""}, "application/problem+json")->body == "\"a\"");
  got = with_body("POST", error{errc::schema, "cannot index"});
  REQUIRE_FALSE(got);
  CHECK(got.error().context.find("cannot index") != std::string::npos);
}
