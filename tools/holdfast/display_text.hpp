#pragma once
// Text as a terminal shows it: how wide it is, and nothing that could steer the terminal. Pure.

#include <cstddef>
#include <string>
#include <string_view>

namespace holdfast::cli {

/// Columns that UTF-8 text takes: combining marks none, East Asian wide characters and emoji two.
/// A byte that is not UTF-8 counts one.
std::size_t display_width(std::string_view text) noexcept;

/// `text` with spaces behind it (in front with `right`) to `width` columns; unchanged when wider.
std::string padded(std::string_view text, std::size_t width, bool right = false);

/// At most `width` columns, the last one `…` when something was cut.
std::string clipped(std::string_view text, std::size_t width);

enum class line_breaks : unsigned char { to_space, kept };

/// Without control characters, which become a space, and without invalid UTF-8, which becomes
/// U+FFFD. Tabs and line feeds stay with `line_breaks::kept`.
std::string printable(std::string_view text, line_breaks breaks = line_breaks::to_space);

}  // namespace holdfast::cli
