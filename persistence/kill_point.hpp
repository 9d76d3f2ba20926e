#pragma once
// Places where a crash test kills the process for real. Without HOLDFAST_KILL_POINT in the environment they cost one
// load of a flag.

#include <string_view>

namespace holdfast {

/// Reads `HOLDFAST_KILL_POINT=name:count`: the count-th passage (from 1) of that point kills the process with SIGKILL.
/// Called once, before any thread is started.
void arm_kill_points();

namespace detail {
extern bool kill_points_armed;
void pass_kill_point(std::string_view name) noexcept;
}  // namespace detail

inline void kill_point(std::string_view name) noexcept {
  if (detail::kill_points_armed) [[unlikely]]
    detail::pass_kill_point(name);
}

}  // namespace holdfast
