#pragma once
// How a repeat of a request is recognised (INTERFACE §3 "Idempotency-Key").

#include <optional>

#include "runtime/gateway/call.hpp"
#include "schemas/event.hpp"

namespace holdfast {

/// The `Idempotency-Key` of a request, checked; empty when there is none. Errors: `malformed`.
result<std::string_view> idempotency_key_of(const call& c);

/// Of API key, method, path and `Idempotency-Key`; another body is a conflict. `part` tells the
/// events of a batch apart.
idempotency once_by_key(const call& c, std::string_view key, std::string_view part = {});

/// Of the sender's own source and id, per agent (empty: routed); any body joins. Nothing when one
/// is missing.
std::optional<idempotency> once_by_event(const call& c, std::string_view agent, const event& e);

/// Of a hook's source and the delivery's id.
idempotency once_by_delivery(const call& c, std::string_view source, std::string_view id);

}  // namespace holdfast
