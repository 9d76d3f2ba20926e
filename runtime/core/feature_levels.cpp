#include "runtime/core/feature_levels.hpp"

#include <algorithm>
#include <charconv>

namespace holdfast {

std::optional<feature_levels> parse_feature_levels(std::string_view text) {
  feature_levels out;
  const auto* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, out.oldest);
  if (first.ec != std::errc{} || first.ptr == end || *first.ptr != '-')
    return std::nullopt;
  const auto second = std::from_chars(first.ptr + 1, end, out.newest);
  if (second.ec != std::errc{} || second.ptr != end || out.oldest == 0 || out.newest < out.oldest)
    return std::nullopt;
  return out;
}

std::string level_problem(const feature_levels& of, unsigned level) {
  if (level > of.newest)
    return "its release knows feature levels up to " + std::to_string(of.newest) +
           ", the cluster uses " + std::to_string(level) + "; run a newer release on it";
  if (level < of.oldest)
    return "its release needs feature level " + std::to_string(of.oldest) +
           " at least, the cluster uses " + std::to_string(level) +
           "; bring all nodes to a release in between first";
  return {};
}

unsigned raised_level(unsigned now, const std::vector<std::optional<unsigned>>& newest) {
  if (newest.empty() ||
      std::any_of(newest.begin(), newest.end(), [](const auto& one) { return !one; }))
    return now;
  const auto least = std::min_element(newest.begin(), newest.end());
  return std::max(now, **least);
}

}  // namespace holdfast
