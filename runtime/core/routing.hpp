#pragma once
// Which agents want an event, and under which key. Pure.

#include <vector>

#include "runtime/core/catalog.hpp"

namespace holdfast {

/// True when `pattern` is the type itself, or `prefix.*` and the type continues the prefix.
bool matches_type(std::string_view pattern, std::string_view type) noexcept;

struct routing {
  std::vector<route> routes;              ///< one for each trigger whose pattern matches the type
  std::vector<dead_lettered> unroutable;  ///< matched, but the key could not be computed
};

/// Asks every trigger of every current definition. `fresh` names keys of triggers that have none; `runs` get their ids
/// from the event's time and the target.
routing find_routes(const catalog& definitions, const event& e, const event_id& id,
                    std::string_view verified, std::uint16_t partitions);

/// The run that an event of home `id` sets off at `target`. No two events of one home have the same
/// time, so the home's number tells runs of one target apart.
run_id routed_run(const event_id& id, const agent_name& target, std::uint16_t partitions);

/// The home of the event that set off a run of `routed_run`; 0 for any other run.
group_id home_of(const run_id& run, std::uint16_t partitions) noexcept;

}  // namespace holdfast
