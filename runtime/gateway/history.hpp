#pragma once
// Facts → the items of a history (INTERFACE §3 "History kinds"). Facts that only the machinery
// needs are not shown.

#include <string_view>

#include "runtime/gateway/json_writer.hpp"
#include "runtime/gateway/run_tracker.hpp"
#include "schemas/ids.hpp"

namespace holdfast {

/// The kind under which a fact is shown; empty: it is not.
std::string_view history_kind(const fact& f) noexcept;

/// `{"seq","at","run_id","kind","data"}`; the tracker has taken the fact.
void write_history_item(json_writer& json, const agent_name& agent, seq_no seq, time_us at,
                        const fact& f, const run_tracker& tracker);

}  // namespace holdfast
