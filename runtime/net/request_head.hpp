#pragma once

#include <string>
#include <string_view>

#include "runtime/net/http_client.hpp"
#include "runtime/net/url.hpp"

namespace holdfast::net {

/// What is wrong with the method or a header, for people; empty when the request can be sent as it
/// is. Nothing that passes can add a line or a header of its own, or change the framing.
std::string request_defect(const client_request& request);

/// The head as it goes on the wire, up to and including the empty line.
std::string request_head(const client_request& request, const url& to, std::string_view user_agent);

}  // namespace holdfast::net
