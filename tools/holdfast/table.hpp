#pragma once
// Columns of text, aligned by what a terminal shows. Pure.

#include <cstddef>
#include <string>
#include <vector>

namespace holdfast::cli {

/// How a cell is coloured when colours are on.
enum class tint : unsigned char { none, good, busy, bad, faint };

struct table_cell {
  std::string text;
  tint colour = tint::none;
};

struct table_heading {
  std::string title;
  bool right = false;  ///< numbers
};

struct table {
  std::vector<table_heading> headings;
  std::vector<std::vector<table_cell>> rows;  ///< each as long as `headings`
};

struct table_style {
  bool colour = false;
  std::size_t columns_max = 0;  ///< the terminal's width: longer lines are cut; 0: never
};

/// One line per row under a line of headings, two spaces between columns, no trailing spaces.
std::string render(const table& rows, const table_style& style);

/// `text` between the escape sequences of the colour.
std::string tinted(const std::string& text, tint colour);

}  // namespace holdfast::cli
