#pragma once
// RFC 4648. Pure.

#include <optional>
#include <string>
#include <string_view>

namespace holdfast {

std::string to_base64(std::string_view bytes);
/// `-` and `_` instead of `+` and `/`, without padding: fit for a URL.
std::string to_base64url(std::string_view bytes);
/// The standard alphabet; padding may be left out. Nothing when it is something else.
std::optional<std::string> from_base64(std::string_view text);
std::optional<std::string> from_base64url(std::string_view text);

}  // namespace holdfast
