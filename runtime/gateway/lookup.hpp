#pragma once
// Reading what a path names, or saying that it is not there.

#include <functional>

#include "runtime/core/stored_records.hpp"
#include "runtime/gateway/call.hpp"

namespace holdfast {

/// Errors: `not_found` for an agent that was never addressed, `corrupt`, `io_failure`.
result<agent_state> find_agent(backend& node, const agent_name& name);

/// Answers with the state document and its ETag.
void answer_state(const answering& reply, const agent_state& state);

struct found_run {
  run_summary summary;
  std::optional<agent_state> agent;  ///< of an open run: its state now
};
/// With `status`, `steps` and `usage` as they are now. One that has no record is searched for among
/// what is on its way: not on an io thread. Errors: `not_found`.
result<found_run> find_run(backend& node, const run_id& id);
/// Hands the call on with the run that its path names, or refuses it: also when its key is not for
/// that agent. At once when the run has a record, else from the thread for slow things.
void with_run(call&& c, std::function<void(call&&, const found_run&)> then);
/// Brings a stored summary up to date.
result<found_run> present_run(backend& node, run_summary summary);
/// With output or error, when it has ended.
result<ended_run> find_end(backend& node, const found_run& run);

/// A path's run. Errors: `not_found` also for what is no run id.
result<run_id> run_of(const call& c, std::size_t parameter);
result<event_id> event_of(const call& c, std::size_t parameter);

/// The group that an id names, when this node has such a partition; 0 otherwise.
group_id partition_of(backend& node, const sortable_id& id);

/// Version of the type that new runs take; 0: none.
std::uint32_t current_version(backend& node, std::string_view type);

}  // namespace holdfast
