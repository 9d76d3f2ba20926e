#include "tools/holdfast/time_text.hpp"

#include "schemas/units.hpp"

namespace holdfast::cli {

namespace {

std::string largest_unit(time_us distance_us) {
  const auto seconds = distance_us / 1'000'000;
  if (seconds < 120)
    return std::to_string(seconds) + "s";
  if (seconds < 120 * 60)
    return std::to_string(seconds / 60) + "m";
  if (seconds < 48 * 3600)
    return std::to_string(seconds / 3600) + "h";
  return std::to_string(seconds / 86'400) + "d";
}

}  // namespace

std::string relative_time(time_us at, time_us now) {
  constexpr time_us second = 1'000'000;
  if (at <= now - second)
    return largest_unit(now - at) + " ago";
  if (at >= now + second)
    return "in " + largest_unit(at - now);
  return "now";
}

std::string relative_time(std::string_view rfc3339, time_us now, bool exact) {
  const auto at = parse_time(rfc3339);
  if (!at)
    return std::string{rfc3339};
  const auto relative = relative_time(*at, now);
  return exact ? std::string{rfc3339} + " (" + relative + ")" : relative;
}

}  // namespace holdfast::cli
