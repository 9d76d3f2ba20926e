#pragma once
// "did you mean …": the nearest of a list of valid names.

#include <span>
#include <string>
#include <string_view>

namespace holdfast {

/// The candidate with the smallest edit distance to `word`, swaps of neighbours counted as one; empty when none is near
/// (about a third of the longer name may differ). Case does not count.
std::string_view nearest_name(std::string_view word, std::span<const std::string_view> candidates);

/// "; did you mean `instructions`?", or nothing.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates);

/// `a`, `b` and `c`: for messages that list what is valid.
std::string list_of(std::span<const std::string_view> names, std::string_view last_joined_by);

}  // namespace holdfast
