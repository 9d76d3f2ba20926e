#pragma once
// W3C Trace Context. Pure.

#include <string_view>

namespace holdfast {

/// The header when it is a valid `traceparent`, else nothing: what cannot be read is as if it were
/// not there.
std::string_view valid_traceparent(std::string_view header) noexcept;

}  // namespace holdfast
