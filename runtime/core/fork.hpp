#pragma once
// An agent as it was at a point of its history.

#include "persistence/store.hpp"
#include "schemas/codec.hpp"

namespace holdfast {

/// State, messages and memory at `at` (inclusive), made by evolving the facts up to there. Open effects are not part of
/// it: a fork has performed nothing. Errors: `not_found`, `gone` below retention, `corrupt`.
result<codec::forked_agent> copy_at(const reader& from, group_id group, const agent_name& name,
                                    seq_no at);

}  // namespace holdfast
