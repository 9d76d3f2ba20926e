#include "runtime/model/http_failure.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace holdfast;
using namespace holdfast::model;

namespace {
constexpr time_us at_784111777 = 784'111'777'000'000;  // Sun, 06 Nov 1994 08:49:37 GMT
}

TEST_CASE("http_failure: retry-after is read in all its forms") {
  struct row {
    net::header_list headers;
    std::optional<std::int64_t> wait;
  };
  const std::vector<row> rows = {
    {{}, std::nullopt},
    {{{"Retry-After", "2"}}, 2'000},
    {{{"retry-after", " 0 "}}, 0},
    {{{"RETRY-AFTER", "0.5"}}, 500},
    {{{"retry-after-ms", "1500"}, {"retry-after", "9"}}, 1'500},
    {{{"retry-after-ms", "soon"}, {"retry-after", "9"}}, 9'000},
    {{{"retry-after", "99999999999999999999"}}, 24 * 3'600'000},
    {{{"retry-after", "Sun, 06 Nov 1994 08:50:07 GMT"}}, 30'000},
    {{{"retry-after", "Sunday, 06-Nov-94 08:50:07 GMT"}}, 30'000},
    {{{"retry-after", "Sun Nov  6 08:50:07 1994"}}, 30'000},
    {{{"retry-after", "Sun, 06 Nov 1994 08:00:00 GMT"}}, 0},  // has passed
    {{{"retry-after", "Fri, 06 Nov 2099 08:50:07 GMT"}}, 24 * 3'600'000},
    {{{"retry-after", "Sun, 31 Feb 1994 08:50:07 GMT"}}, std::nullopt},
    {{{"retry-after", "Sun, 06 Nov 1994 25:50:07 GMT"}}, std::nullopt},
    {{{"retry-after", "-1"}}, std::nullopt},
    {{{"retry-after", "1e9"}}, std::nullopt},
    {{{"retry-after", "."}}, std::nullopt},
    {{{"retry-after", "tomorrow"}}, std::nullopt},
    {{{"retry-after", ""}}, std::nullopt},
  };
  for (const auto& [headers, wait] : rows) {
    if (!headers.empty())
      CAPTURE(headers.back().second);
    CHECK(retry_after_ms(headers, at_784111777) == wait);
  }
}

TEST_CASE("http_failure: a call without a response is judged by what was sent") {
  struct row {
    transport_end end;
    failure_kind kind;
    const char* code;
    bool retryable;
  };
  const std::vector<row> rows = {
    {transport_end::refused, failure_kind::rejected, "tool_refused", false},
    {transport_end::not_sent, failure_kind::not_sent, "tool_unreachable", true},
    {transport_end::broken, failure_kind::transient, "tool_unavailable", true},
    {transport_end::cancelled, failure_kind::cancelled, "tool_cancelled", true},
  };
  for (const auto& [end, kind, code, retryable] : rows) {
    const auto out = transport_outcome(end, "tool", "connection\r\nreset");
    CHECK(out.status == outcome_status::failed);
    CHECK(out.failure_reason == kind);
    CHECK(out.error.code == code);
    CHECK(out.error.retryable == retryable);
    CHECK(out.error.message.find("connection  reset") != std::string::npos);
  }
}
