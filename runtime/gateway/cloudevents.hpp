#pragma once
// Requests → events: CloudEvents 1.0 over HTTP (structured, binary, batch;
// https://github.com/cloudevents/spec, v1.0.2) and the plain body of `POST …/events`. `data` keeps
// the bytes that were sent. Pure.

#include <optional>
#include <string_view>
#include <vector>

#include "runtime/gateway/problem.hpp"
#include "runtime/gateway/request_body.hpp"
#include "runtime/net/http_message.hpp"
#include "schemas/event.hpp"

namespace holdfast {

/// The type of an event that was sent straight to an agent without one.
inline constexpr std::string_view direct_event_type = "message";

/// Each gives nothing when `out` is filled, else why not: `malformed`, `too_deep`, `too_large`,
/// `unsupported_media`, `schema` with what is wrong where.

/// For one agent: `{"type"?, "data", …}`, or one CloudEvent in either mode.
std::optional<refusal> read_direct_event(const net::http_request& request,
                                         const body_limits& limits, event& out);

/// For routing: CloudEvents, one or a batch of at most `events_max`. `batch` says that it was one.
std::optional<refusal> read_routed_events(const net::http_request& request,
                                          const body_limits& limits, std::size_t events_max,
                                          std::vector<event>& out, bool& batch);

}  // namespace holdfast
