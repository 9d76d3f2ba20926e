#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include <vector>

#include "runtime/model/text.hpp"
#include "runtime/tool/http_tool.hpp"

using namespace holdfast;
using namespace holdfast::tool;
using nlohmann::json;

namespace {
std::string output(std::string body, bool truncated = false,
                   const std::vector<std::string>& secrets = {}) {
  const auto out = outcome_of({200, {}, std::move(body), truncated}, 0, secrets);
  CHECK(out.status == outcome_status::succeeded);
  CHECK(json::accept(out.output));
  return out.output;
}
}  // namespace

TEST_CASE("http tool outcome: the status decides") {
  struct row {
    unsigned status;
    net::header_list headers;
    outcome_status came_to;
    failure_kind kind;
    const char* code;
    std::int64_t wait;
  };
  const auto ok = outcome_status::succeeded;
  const auto bad = outcome_status::failed;
  const std::vector<row> rows = {
    {200, {}, ok, failure_kind::none, "", 0},
    {201, {}, ok, failure_kind::none, "", 0},
    {204, {}, ok, failure_kind::none, "", 0},
    {299, {}, ok, failure_kind::none, "", 0},
    {301, {{"Location", "http://evil/"}}, bad, failure_kind::rejected, "tool_rejected", 0},
    {304, {}, bad, failure_kind::rejected, "tool_rejected", 0},
    {400, {}, bad, failure_kind::rejected, "tool_rejected", 0},
    {404, {}, bad, failure_kind::rejected, "tool_rejected", 0},
    {409, {{"Retry-After", "3"}}, bad, failure_kind::rejected, "tool_rejected", 0},
    {408, {}, bad, failure_kind::transient, "tool_unavailable", 0},
    {429, {}, bad, failure_kind::throttled, "tool_throttled", 0},
    {429, {{"retry-after", "3"}}, bad, failure_kind::throttled, "tool_throttled", 3'000},
    {429,
     {{"retry-after", "Thu, 01 Jan 1970 00:00:10 GMT"}},
     bad,
     failure_kind::throttled,
     "tool_throttled",
     10'000},
    {500, {}, bad, failure_kind::transient, "tool_unavailable", 0},
    {503, {{"Retry-After", "1"}}, bad, failure_kind::transient, "tool_unavailable", 1'000},
    {599, {}, bad, failure_kind::transient, "tool_unavailable", 0},
    {0, {}, bad, failure_kind::transient, "tool_unavailable", 0},
    {101, {}, bad, failure_kind::transient, "tool_unavailable", 0},
    {700, {}, bad, failure_kind::transient, "tool_unavailable", 0},
  };
  for (const auto& [status, headers, came_to, kind, code, wait] : rows) {
    CAPTURE(status);
    const auto out = outcome_of({status, headers, "why", false}, 0);
    CHECK(out.status == came_to);
    CHECK(out.failure_reason == kind);
    CHECK(out.error.code == code);
    CHECK(out.retry_after_ms == wait);
    CHECK(out.error.retryable ==
          (kind == failure_kind::transient || kind == failure_kind::throttled));
    if (came_to == bad) {
      CHECK(out.error.message.starts_with("HTTP " + std::to_string(status)));
      CHECK(out.error.message.ends_with(": why"));
    }
  }
}

TEST_CASE("http tool outcome: JSON is passed on as it is, anything else as text") {
  struct row {
    std::string body;
    std::string output;
  };
  const std::vector<row> rows = {
    {R"({"amount": 12.50, "id":12345678901234567890123})",
     R"({"amount": 12.50, "id":12345678901234567890123})"},
    {" \n[1]\r\n", "[1]"},
    {"\xEF\xBB\xBF{}", "{}"},
    {"42", "42"},
    {"null", "null"},
    {"\"x\"", "\"x\""},
    {"", "null"},
    {" \t\r\n", "null"},
    {"plain é", "\"plain é\""},
    {"{broken", "\"{broken\""},
    {"<html>\"</html>", R"("<html>\"</html>")"},
    {"a\xFFz", "\"a\xEF\xBF\xBDz\""},
    {"\"\\ud83d\"", R"("\"\\ud83d\"")"},  // half a character: not JSON for those who read it later
  };
  for (const auto& [body, expected] : rows) {
    CAPTURE(body);
    CHECK(output(body) == expected);
  }
  CHECK(json::parse(output(std::string(100, '[') + std::string(100, ']'))).is_string());
}

TEST_CASE("http tool outcome: what is too large is cut with a marker, between characters") {
  const std::string exact = "\"" + std::string(output_bytes_max - 2, 'x') + "\"";
  CHECK(output(exact) == exact);

  for (std::size_t shift = 0; shift < 4; ++shift) {
    std::string body(shift, 'x');
    while (body.size() <= output_bytes_max)
      body += "😀";
    const auto text = json::parse(output(body)).get<std::string>();
    CHECK(text.size() <= output_bytes_max);
    CHECK(text.size() > output_bytes_max - 200);
    CHECK(model::is_utf8(text));
    CHECK(text.find("\xEF\xBF\xBD") == std::string::npos);
    CHECK(text.find("\n[cut: ") != std::string::npos);
    CHECK(text.ends_with(" bytes of " + std::to_string(body.size()) + " are shown]"));
  }

  const std::string large_json = "[" + std::string(100'000, ' ') + "1]";
  const auto cut = json::parse(output(large_json));
  REQUIRE(cut.is_string());
  CHECK(cut.get<std::string>().find("[cut: ") != std::string::npos);

  const auto flood = json::parse(output(std::string(10 << 20, '\xFF'))).get<std::string>();
  CHECK(flood.size() <= output_bytes_max);
}

TEST_CASE("http tool outcome: a body that was not read to its end is never taken for JSON") {
  const auto text = json::parse(output("[1]", true)).get<std::string>();
  CHECK(text.starts_with("[1]\n[cut: 3 bytes of more than 3 are shown]"));
  CHECK(json::parse(output("", true)).is_string());
}

TEST_CASE("http tool outcome: a refusal shows the head of the body on one line") {
  auto out = outcome_of(
    {404, {}, "no\nsuch " + std::string(1'022, 'x') + std::string(1 << 20, 'y'), false}, 0);
  CHECK(out.error.message.starts_with("HTTP 404: no such xxx"));
  CHECK(out.error.message.size() < 1'200);
  CHECK(out.error.message.ends_with("…"));
  out =
    outcome_of({302, {{"location", "http://elsewhere/" + std::string(5'000, 'x')}}, "", false}, 0);
  CHECK(out.error.message.starts_with("HTTP 302, redirects are not followed (http://elsewhere/"));
  CHECK(out.error.message.size() < 400);
}

TEST_CASE("http tool outcome: secrets that come back are masked") {
  const std::vector<std::string> secrets = {"s3cr3t"};
  CHECK(output(R"({"seen":"Bearer s3cr3t"})", false, secrets) == R"({"seen":"Bearer ***"})");
  CHECK(output("s3cr3t", false, secrets) == "\"***\"");
  const auto refused = outcome_of({401, {}, "bad token s3cr3t", false}, 0, secrets);
  CHECK(refused.error.message == "HTTP 401: bad token ***");
  const auto moved = outcome_of({302, {{"Location", "/?t=s3cr3t"}}, "", false}, 0, secrets);
  CHECK(moved.error.message.find("s3cr3t") == std::string::npos);
}
