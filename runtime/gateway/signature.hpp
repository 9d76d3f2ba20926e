#pragma once
// Webhook signatures: an HMAC over a template of the raw body, checked in constant time (DESIGN
// §8). What it looks like is data (`hmac_definition`). Pure but for the secrets handed in.

#include <string>
#include <string_view>
#include <vector>

#include "runtime/net/http_message.hpp"
#include "schemas/definition.hpp"
#include "schemas/ids.hpp"

namespace holdfast {

/// Checks the signature against each secret; one must match. Errors: `bad_signature`, and
/// `stale_signature` when the signed timestamp is off `now` by more than the tolerance. No message
/// tells what was expected.
status check_signature(const hmac_definition& how, const std::vector<std::string>& secrets,
                       const net::http_request& request, time_us now);

/// The raw digest. `algorithm` is sha1, sha256 or sha512; empty for another.
std::string hmac_digest(std::string_view algorithm, std::string_view secret,
                        std::string_view content);

}  // namespace holdfast
