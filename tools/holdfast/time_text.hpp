#pragma once
// Times as people read them. Pure; the present arrives as an argument.

#include <string>
#include <string_view>

#include "schemas/ids.hpp"

namespace holdfast::cli {

/// `12s ago`, `5m ago`, `3h ago`, `2d ago`; `in 5m` for what is to come; `now` within a second.
std::string relative_time(time_us at, time_us now);

/// The same for RFC 3339 text; with `exact`, `2026-11-21T08:00:00.000Z (12s ago)`. Text that is no
/// time comes back unchanged.
std::string relative_time(std::string_view rfc3339, time_us now, bool exact);

}  // namespace holdfast::cli
