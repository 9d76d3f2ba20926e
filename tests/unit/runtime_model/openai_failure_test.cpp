#include <doctest/doctest.h>

#include <vector>

#include "runtime/model/openai.hpp"

using namespace holdfast;
using namespace holdfast::model;

namespace {
const std::string plain = R"({"error":{"message":"because","type":"x","param":null,"code":null}})";
}

TEST_CASE("openai failure: the status decides, the server's wish overrides") {
  struct row {
    unsigned status;
    net::header_list headers;
    std::string body;
    failure_kind kind;
    std::string code;
    std::int64_t wait;
  };
  const std::vector<row> rows = {
    {400, {}, plain, failure_kind::rejected, "model_rejected", 0},
    {401, {}, plain, failure_kind::rejected, "model_unauthorised", 0},
    {403, {}, plain, failure_kind::rejected, "model_unauthorised", 0},
    {404, {}, plain, failure_kind::rejected, "model_rejected", 0},
    {413, {}, plain, failure_kind::rejected, "model_rejected", 0},
    {422, {{"retry-after", "5"}}, plain, failure_kind::rejected, "model_rejected", 0},
    {302, {{"location", "http://x"}}, "", failure_kind::rejected, "model_rejected", 0},
    {408, {}, plain, failure_kind::transient, "model_unavailable", 0},
    {409, {}, plain, failure_kind::transient, "model_unavailable", 0},
    {429, {}, plain, failure_kind::throttled, "model_throttled", 0},
    {429, {{"Retry-After", "2"}}, plain, failure_kind::throttled, "model_throttled", 2'000},
    {429,
     {{"Retry-After-Ms", "250"}, {"Retry-After", "2"}},
     plain,
     failure_kind::throttled,
     "model_throttled",
     250},
    {429,
     {},
     R"({"error":{"message":"pay","code":"insufficient_quota"}})",
     failure_kind::rejected,
     "model_rejected",
     0},
    {429, {{"x-should-retry", "false"}}, plain, failure_kind::rejected, "model_rejected", 0},
    {400, {{"X-Should-Retry", "true"}}, plain, failure_kind::transient, "model_unavailable", 0},
    {500, {}, plain, failure_kind::transient, "model_unavailable", 0},
    {503, {{"retry-after", "1"}}, "", failure_kind::transient, "model_unavailable", 1'000},
    {529, {}, plain, failure_kind::transient, "model_unavailable", 0},
    {500, {{"x-should-retry", "false"}}, plain, failure_kind::rejected, "model_rejected", 0},
  };
  for (const auto& [status, headers, body, kind, code, wait] : rows) {
    CAPTURE(status);
    const auto out = openai_http_failure(status, headers, body, 0);
    CHECK(out.status == outcome_status::failed);
    CHECK(out.failure_reason == kind);
    CHECK(out.error.code == code);
    CHECK(out.error.retryable == (kind != failure_kind::rejected));
    CHECK(out.retry_after_ms == wait);
    CHECK(out.error.message.find(std::to_string(status)) != std::string::npos);
  }
}

TEST_CASE("openai failure: the provider's message is shown however it is wrapped") {
  for (const std::string& body :
       {plain, std::string{R"({"error":"because"})"}, std::string{R"({"message":"because"})"},
        std::string{R"({"detail":"because"})"}, std::string{"because"}}) {
    CAPTURE(body);
    CHECK(openai_http_failure(400, {}, body, 0).error.message ==
          "the provider answered 400: because");
  }
  CHECK(openai_http_failure(502, {}, "", 0).error.message == "the provider answered 502");
  CHECK(openai_http_failure(502, {}, "[1]", 0).error.message == "the provider answered 502: [1]");
}

TEST_CASE("openai failure: the message is bounded, on one line, and holds no key") {
  const std::vector<std::string> secrets = {"topsecretkey"};
  const auto text =
    openai_http_failure(
      401, {},
      R"({"error":{"message":"Incorrect API key: sk-abc123\nand topsecretkey, Authorization: Bearer zzz"}})",
      0, secrets)
      .error.message;
  for (const char* hidden : {"sk-abc123", "topsecretkey", "zzz", "\n"})
    CHECK(text.find(hidden) == std::string::npos);
  CHECK(openai_http_failure(400, {}, std::string(10 << 20, 'x'), 0).error.message.size() < 600);
  CHECK(openai_http_failure(400, {}, std::string(100'000, '['), 0).error.message.size() < 600);
  const auto binary = openai_http_failure(500, {}, "\xFF\xFE\x00\x01", 0).error.message;
  CHECK(binary.find('\x01') == std::string::npos);
}
