#pragma once

#include "actors/node_services.hpp"

namespace holdfast {

/// Reads every definition there is and compiles it, with the native types that are built in. Errors: `corrupt`.
result<std::shared_ptr<const catalog>> load_catalog(const reader& from, const compilers& with);

/// What applying these would change, against a catalogue: versions are given here.
definitions_done plan_definitions(const catalog& now, std::vector<definition_applied>& wanted);

/// Spawns the owner of group 0: it gives versions to definitions, commits them, and publishes the new catalogue.
catalog_actor spawn_catalog(caf::actor_system& system, services_ptr services, std::uint64_t term);

}  // namespace holdfast
