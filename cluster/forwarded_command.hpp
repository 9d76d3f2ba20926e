#pragma once
// How a request, a command and their answers travel between nodes: as the HTTP of schemas/link.hpp, with what is not HTTP
// in pseudo headers, which no client can send. A command is the record that it would become, without what its owner
// decides. Pure.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "runtime/gateway/backend.hpp"
#include "schemas/link.hpp"

namespace holdfast::forwarded {

inline constexpr std::string_view content_type_field = ":content-type";
inline constexpr std::string_view stream_field = ":stream";  ///< the answer goes on
/// So many bytes belong to the head: what a stream begins with may be more than it may have unsent later.
inline constexpr std::string_view begin_field = ":begin";

/// Of an answer that does not go on: less than half of what may wait on a link.
inline constexpr std::size_t answer_bytes_max = 32U << 20;
/// A larger one stays where it is.
inline const error answer_too_large{
  errc::too_large,
  "the answer is larger than the 32 MiB that a node carries for another; ask for "
  "less with `limit`, or ask the node that leads the partition"};

/// Empty: there is none. Case does not matter.
std::string_view field(const link::header_list& headers, std::string_view name);

/// A client's request, without what is between it and its node only.
link::http_request carried(net::http_request&& request, const principal& who);
/// As it came to the node that sent it.
net::http_request request_of(link::http_request&& sent);
/// Nobody who may do nothing, when the text is not one of ours.
std::shared_ptr<const principal> principal_of(std::string_view text);

struct route_command {
  event what;
  std::string verified;
  std::optional<idempotency> once;
  event_sender sender;
};
struct control_command {
  agent_name to;
  control what;
  std::optional<idempotency> once;
  audit_note audit;
};
struct audit_command {
  audit_recorded what;
};
using command = std::variant<route_command, control_command, audit_command>;

bool is_command(const link::http_request& request);
link::http_request encode(const command& what);
/// Errors: `malformed`.
result<command> decode_command(const link::http_request& sent);

net::http_response response_of(const answer& told);
/// What another node's response to a command says; `unknown_outcome` when it says nothing.
answer answer_of(const link::http_head& head, const std::string& body);

}  // namespace holdfast::forwarded
