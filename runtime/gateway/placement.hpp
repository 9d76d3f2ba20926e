#pragma once
// Which group answers a request: in a cluster it is answered where that group is led.

#include <optional>
#include <string>

#include "runtime/gateway/api_table.hpp"
#include "runtime/gateway/call.hpp"

namespace holdfast {

/// The group of the agent or of the id in the path; the catalogue's for changes of definitions.
/// Nothing: any node answers, from what it has (lists), or finds out by itself (routed events), or
/// refuses (an id that does not parse).
std::optional<group_id> group_of(const call& c, const api_call& row);

/// The peer that a call in the path of one node must be answered by: for what it is told to do.
std::optional<std::string> peer_of(const call& c, const api_call& row);

}  // namespace holdfast
