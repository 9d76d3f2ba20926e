#include "tools/holdfast/table.hpp"

#include <algorithm>

#include "tools/holdfast/display_text.hpp"

namespace holdfast::cli {

namespace {

constexpr std::size_t gap = 2;

const char* escape_of(tint colour) {
  switch (colour) {
    case tint::good:
      return "\x1b[32m";
    case tint::busy:
      return "\x1b[33m";
    case tint::bad:
      return "\x1b[31m";
    case tint::faint:
      return "\x1b[2m";
    case tint::none:
      break;
  }
  return "";
}

class line_writer {
public:
  line_writer(const std::vector<std::size_t>& widths, const table& rows, const table_style& style)
    : widths_(widths), rows_(rows), style_(style) {}

  void write(std::string& out, const std::vector<table_cell>& cells) const {
    std::size_t used = 0;
    std::size_t last = cells.size();
    while (last > 0 && cells[last - 1].text.empty())
      --last;
    for (std::size_t i = 0; i < last; ++i) {
      if (i > 0) {
        out.append(gap, ' ');
        used += gap;
      }
      auto text = cells[i].text;
      if (rows_.headings[i].right)
        text = padded(text, widths_[i], true);
      if (style_.columns_max > 0)
        text = clipped(text, style_.columns_max > used ? style_.columns_max - used : 0);
      const auto width = display_width(text);
      out += style_.colour ? tinted(text, cells[i].colour) : text;
      if (i + 1 < last && width < widths_[i])
        out.append(widths_[i] - width, ' ');
      used += std::max(width, widths_[i]);
    }
    out += '\n';
  }

private:
  const std::vector<std::size_t>& widths_;
  const table& rows_;
  const table_style& style_;
};

}  // namespace

std::string tinted(const std::string& text, tint colour) {
  return colour == tint::none || text.empty() ? text : escape_of(colour) + text + "\x1b[0m";
}

std::string render(const table& rows, const table_style& style) {
  std::vector<std::size_t> widths;
  std::vector<table_cell> headings;
  for (const auto& heading : rows.headings) {
    widths.push_back(display_width(heading.title));
    headings.push_back({heading.title, tint::faint});
  }
  for (const auto& row : rows.rows)
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], display_width(row[i].text));
  const line_writer lines{widths, rows, style};
  std::string out;
  lines.write(out, headings);
  for (const auto& row : rows.rows)
    lines.write(out, row);
  return out;
}

}  // namespace holdfast::cli
