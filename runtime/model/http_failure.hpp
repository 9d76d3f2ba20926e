#pragma once
// HTTP calls that did not succeed, as the retry rule wants to know them. Shared by the model codecs
// and HTTP tools. Pure.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "runtime/net/http_message.hpp"
#include "schemas/effect.hpp"
#include "schemas/ids.hpp"

namespace holdfast::model {

/// The first header of that name in any case; empty when there is none.
std::string_view find_header(const net::header_list& headers, std::string_view name) noexcept;

/// How long the other side asks to wait: `retry-after-ms`, else `Retry-After` in seconds or as an
/// HTTP-date (RFC 9110 §10.2.3, all three forms) relative to `now`. At most a day, never negative;
/// nothing when absent or malformed.
std::optional<std::int64_t> retry_after_ms(const net::header_list& headers, time_us now) noexcept;

/// Why there is no HTTP response, as far as the retry rule must know.
enum class transport_end : std::uint8_t {
  refused = 1,    ///< the call cannot be made as asked: bad URL, address against the egress policy
  not_sent = 2,   ///< failed before a byte of the request was written
  broken = 3,     ///< reset, timeout, not HTTP: the other side may have acted
  cancelled = 4,  ///< the process stopped the call itself
};

/// The outcome of a call without a response: broken → transient, else the kind of the same meaning
/// (refused → rejected). `who` begins the code: `tool` gives `tool_refused`, `tool_unreachable`,
/// `tool_unavailable`, `tool_cancelled`. `detail` is shown and must hold no secret.
attempt_outcome transport_outcome(transport_end end, std::string_view who, std::string_view detail);

/// A failed attempt; `retryable` follows from the kind.
attempt_outcome failed_attempt(failure_kind kind, std::string code, std::string text,
                               std::int64_t retry_after_ms = 0);

}  // namespace holdfast::model
