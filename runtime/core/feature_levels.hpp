#pragma once
// Rolling upgrades: a release can run with a range of feature levels, and a cluster uses one of them, which rises when
// every member can. What is stored or sent in a new way is so from its level on. Pure.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

/// That a release can run with. `newest` is raised when what it stores or sends changes in a way that the one before
/// cannot read; `oldest`, when it forgets how the one before did it.
struct feature_levels {
  unsigned oldest = 1;
  unsigned newest = 1;
  bool operator==(const feature_levels&) const = default;
};
inline constexpr feature_levels features_of_this_release{1, 1};

/// `1-2`; nothing: not such a range.
std::optional<feature_levels> parse_feature_levels(std::string_view text);

/// Empty: a node that can do these takes part in a cluster that uses this level. Else why not, for an operator.
std::string level_problem(const feature_levels& of, unsigned level);

/// What a cluster that uses `now` goes over to, when these are the newest that its members can do; nothing among them: of
/// one it is not known. Never less.
unsigned raised_level(unsigned now, const std::vector<std::optional<unsigned>>& newest);

}  // namespace holdfast
