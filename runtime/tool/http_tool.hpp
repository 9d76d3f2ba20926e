#pragma once
// HTTP tools (INTERFACE §2 "tools", DESIGN §3 "HTTP outcomes"): input → request, response →
// outcome. Pure; what the model wrote fills places that the definition left open and nothing else:
// never scheme, host or port.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/catalog.hpp"
#include "runtime/net/http_message.hpp"
#include "schemas/ids.hpp"

namespace holdfast::tool {

inline constexpr std::size_t input_bytes_max = 1 << 20;
inline constexpr std::size_t url_bytes_max = 8 << 10;
inline constexpr std::size_t output_bytes_max = 64 << 10;  ///< of a result; beyond it is cut

/// A request ready to be sent. Where it may go is still for the egress policy to say.
struct http_request {
  std::string method;
  std::string url;
  net::header_list headers;
  std::string body;
  std::int64_t timeout_ms = 0;
  std::vector<std::string>
    secrets;  ///< values in the headers, to be kept out of what is stored (`outcome_of`)
};

/// The value of a secret by its name; its error (without the value) is passed on. Called when the
/// request is made, never before.
using secret_lookup = std::function<result<std::string>(std::string_view name)>;

/// Puts the input into the tool's request. `{name}` in the path or query of the URL takes an input,
/// percent-encoded; the rest of the inputs goes into the query (GET, HEAD, DELETE) or a JSON body,
/// unless `body` says what the body is. `Idempotency-Key` is on every call; `traceparent` when
/// given. Errors, for the model or the operator to read: `schema` (an input that does not fit its
/// place), `too_large`, `not_found` (a secret), `forbidden` (a header that would break the request
/// apart).
result<http_request> build_request(const compiled_tool& tool, std::string_view input,
                                   const secret_lookup& secret, std::string_view idempotency_key,
                                   std::string_view traceparent = {});

/// A request that could not be built, as the outcome of its attempt: rejected.
attempt_outcome refused(const error& why);

struct http_response {
  unsigned status = 0;
  net::header_list headers;
  std::string body;
  bool truncated = false;  ///< the body went on beyond what was read
};

/// 2xx: succeeded, the output is the body if it is JSON, else its text as a JSON string, `null`
/// when it is empty; over `output_bytes_max` it is text, cut, with a marker. 429 throttled; 408 and
/// 5xx transient; every other rejected with the status and the head of the body. `secrets` are
/// masked in all of it.
attempt_outcome outcome_of(const http_response& response, time_us now,
                           const std::vector<std::string>& secrets = {});

}  // namespace holdfast::tool
