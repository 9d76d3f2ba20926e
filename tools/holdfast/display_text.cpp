#include "tools/holdfast/display_text.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

namespace holdfast::cli {

namespace {

struct decoded {
  char32_t point;
  std::size_t bytes;
  bool valid;
};

/// The character at the start of `text`, which is not empty. Overlong forms and surrogates are
/// invalid.
decoded decode(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80)
    return {lead, 1, true};
  const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size)
    return {0xfffd, 1, false};
  char32_t point = lead & (0x7fu >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80)
      return {0xfffd, 1, false};
    point = (point << 6) | (byte(i) & 0x3fu);
  }
  static constexpr std::array<char32_t, 5> least{0, 0, 0x80, 0x800, 0x10000};
  if (point < least[size] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
    return {0xfffd, 1, false};
  return {point, size, true};
}

using range = std::pair<char32_t, char32_t>;

// Unicode 15, the ranges that matter on a terminal.
constexpr std::array<range, 9> zero_width{{{0x0300, 0x036f},
                                           {0x0483, 0x0489},
                                           {0x0591, 0x05bd},
                                           {0x064b, 0x065f},
                                           {0x1ab0, 0x1aff},
                                           {0x200b, 0x200f},
                                           {0x20d0, 0x20ff},
                                           {0xfe00, 0xfe0f},
                                           {0xfe20, 0xfe2f}}};
constexpr std::array<range, 10> double_width{{{0x1100, 0x115f},
                                              {0x2e80, 0x303e},
                                              {0x3041, 0xa4cf},
                                              {0xac00, 0xd7a3},
                                              {0xf900, 0xfaff},
                                              {0xfe30, 0xfe6f},
                                              {0xff00, 0xff60},
                                              {0xffe0, 0xffe6},
                                              {0x1f300, 0x1faff},
                                              {0x20000, 0x3fffd}}};

template <class Ranges>
bool contains(const Ranges& ranges, char32_t point) noexcept {
  return std::any_of(ranges.begin(), ranges.end(),
                     [point](const range& r) { return point >= r.first && point <= r.second; });
}

std::size_t width_of(char32_t point) noexcept {
  if (point < 0x300)
    return 1;
  if (contains(zero_width, point))
    return 0;
  return contains(double_width, point) ? 2 : 1;
}

bool is_control(char32_t point) noexcept {
  // C0, DEL, C1, and the marks that turn the direction of text round.
  return point < 0x20 || (point >= 0x7f && point < 0xa0) || (point >= 0x202a && point <= 0x202e) ||
         (point >= 0x2066 && point <= 0x2069);
}

}  // namespace

std::size_t display_width(std::string_view text) noexcept {
  std::size_t width = 0;
  while (!text.empty()) {
    const auto next = decode(text);
    width += width_of(next.point);
    text.remove_prefix(next.bytes);
  }
  return width;
}

std::string padded(std::string_view text, std::size_t width, bool right) {
  const auto have = display_width(text);
  const std::string blank(have < width ? width - have : 0, ' ');
  return right ? blank + std::string{text} : std::string{text} + blank;
}

std::string clipped(std::string_view text, std::size_t width) {
  if (display_width(text) <= width)
    return std::string{text};
  if (width == 0)
    return {};
  std::size_t bytes = 0;
  std::size_t used = 0;
  while (bytes < text.size()) {
    const auto next = decode(text.substr(bytes));
    if (used + width_of(next.point) > width - 1)
      break;
    used += width_of(next.point);
    bytes += next.bytes;
  }
  return std::string{text.substr(0, bytes)} + "…";
}

std::string printable(std::string_view text, line_breaks breaks) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto next = decode(text);
    const bool breaks_line = next.point == '\n' || next.point == '\t';
    if (!next.valid)
      out += "\xef\xbf\xbd";
    else if (is_control(next.point) && !(breaks_line && breaks == line_breaks::kept))
      out += ' ';
    else
      out += text.substr(0, next.bytes);
    text.remove_prefix(next.bytes);
  }
  return out;
}

}  // namespace holdfast::cli
