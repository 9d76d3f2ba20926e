#pragma once
// What changed between two texts. Pure.

#include <string>
#include <string_view>

namespace holdfast::cli {

/// The lines that differ, ` ` `-` `+` in front, with `context` equal lines around them and `…`
/// where lines were left out. Empty when the texts are equal. Texts of more than a few thousand
/// lines are compared from both ends only.
std::string line_diff(std::string_view before, std::string_view after, std::size_t context = 2);

}  // namespace holdfast::cli
