#include "runtime/model/surrogates.hpp"

#include <cstddef>
#include <optional>
#include <utility>

#include "runtime/model/text.hpp"

namespace holdfast::model {

namespace {

constexpr unsigned plane = 0x10F000;  // stand-ins are plane + (half - 0xD800)

constexpr bool is_high(unsigned half) noexcept { return half >= 0xD800 && half <= 0xDBFF; }
constexpr bool is_low(unsigned half) noexcept { return half >= 0xDC00 && half <= 0xDFFF; }

/// The value of the escape `\uXXXX` that begins at `at`.
std::optional<unsigned> escape_at(std::string_view text, std::size_t at) noexcept {
  if (at + 6 > text.size() || text[at] != '\\' || text[at + 1] != 'u')
    return std::nullopt;
  unsigned value = 0;
  for (const char c : text.substr(at + 2, 4)) {
    value <<= 4;
    if (c >= '0' && c <= '9')
      value += static_cast<unsigned>(c - '0');
    else if (c >= 'a' && c <= 'f')
      value += static_cast<unsigned>(c - 'a' + 10);
    else if (c >= 'A' && c <= 'F')
      value += static_cast<unsigned>(c - 'A' + 10);
    else
      return std::nullopt;
  }
  return value;
}

void append_utf8(std::string& out, unsigned point) {
  out += static_cast<char>(0xF0 | (point >> 18));
  out += static_cast<char>(0x80 | ((point >> 12) & 0x3F));
  out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
  out += static_cast<char>(0x80 | (point & 0x3F));
}

/// The half that the stand-in at `at` is for, 0 when there is none.
unsigned half_at(std::string_view text, std::size_t at) noexcept {
  // U+10F000 … U+10F7FF is F4 8F 80 80 … F4 8F 9F BF.
  if (at + 4 > text.size() || text[at] != '\xF4' || text[at + 1] != '\x8F')
    return 0;
  const unsigned third = static_cast<unsigned char>(text[at + 2]);
  const unsigned fourth = static_cast<unsigned char>(text[at + 3]);
  if (third < 0x80 || third > 0x9F)
    return 0;
  return 0xD800 + ((third & 0x3F) << 6 | (fourth & 0x3F));
}

}  // namespace

std::string escape_lone_surrogates(std::string text) {
  std::string out;
  std::size_t copied = 0;
  for (std::size_t at = text.find('\\'); at != std::string::npos && at + 1 < text.size();
       at = text.find('\\', at)) {
    const auto value = escape_at(text, at);
    if (!value) {
      at += 2;
      continue;
    }
    if (is_high(*value)) {
      if (const auto next = escape_at(text, at + 6); next && is_low(*next)) {
        at += 12;
        continue;
      }
    }
    if (is_high(*value) || is_low(*value)) {
      out.append(text, copied, at - copied);
      append_utf8(out, plane + (*value - 0xD800));
      copied = at + 6;
    }
    at += 6;
  }
  if (copied == 0)
    return text;
  return out.append(text, copied);
}

std::string surrogate_joiner::join(std::string_view piece) {
  if (held_.empty() && piece.find("\xF4\x8F") == std::string_view::npos)
    return std::string{piece};
  const std::string text = std::exchange(held_, {}).append(piece);
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const unsigned half = half_at(text, at);
    if (half == 0) {
      out += text[at++];
    } else if (is_low(half)) {
      out += replacement_character;
      at += 4;
    } else if (at + 4 == text.size()) {
      held_ = text.substr(at);
      at += 4;
    } else if (const unsigned low = half_at(text, at + 4); is_low(low)) {
      append_utf8(out, 0x10000 + ((half - 0xD800) << 10) + (low - 0xDC00));
      at += 8;
    } else {
      out += replacement_character;
      at += 4;
    }
  }
  return out;
}

std::string surrogate_joiner::end() {
  return std::exchange(held_, {}).empty() ? std::string{} : std::string{replacement_character};
}

}  // namespace holdfast::model
