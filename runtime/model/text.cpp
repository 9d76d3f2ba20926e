#include "runtime/model/text.hpp"

#include <algorithm>

namespace holdfast::model {

namespace {

struct sequence {
  std::size_t bytes;  // of the sequence, or of the maximal subpart of an ill-formed one; at least 1
  bool well_formed;
};

/// What begins at `at`, by table 3-7 of the Unicode standard.
sequence sequence_at(std::string_view text, std::size_t at) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(at);
  if (lead < 0x80)
    return {1, true};
  const std::size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4)
    return {1, false};
  unsigned low = 0x80;
  unsigned high = 0xBF;
  switch (lead) {
    case 0xE0:
      low = 0xA0;
      break;
    case 0xED:
      high = 0x9F;
      break;
    case 0xF0:
      low = 0x90;
      break;
    case 0xF4:
      high = 0x8F;
      break;
    default:
      break;
  }
  for (std::size_t i = 1; i < size; ++i) {
    if (at + i == text.size() || byte(at + i) < low || byte(at + i) > high)
      return {i, false};
    low = 0x80;
    high = 0xBF;
  }
  return {size, true};
}

bool is_key_character(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.' || c == '*' || c == '+' || c == '/' || c == '=' || c == '~';
}

/// Masks the run of key characters that begins at `at`.
void mask_word(std::string& text, std::size_t at) {
  std::size_t end = at;
  while (end < text.size() && is_key_character(text[end]))
    ++end;
  text.replace(at, end - at, "***");
}

}  // namespace

bool is_utf8(std::string_view text) noexcept {
  for (std::size_t at = 0; at < text.size();) {
    const auto next = sequence_at(text, at);
    if (!next.well_formed)
      return false;
    at += next.bytes;
  }
  return true;
}

std::string to_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (std::size_t at = 0; at < bytes.size();) {
    const auto next = sequence_at(bytes, at);
    out += next.well_formed ? bytes.substr(at, next.bytes) : replacement_character;
    at += next.bytes;
  }
  return out;
}

std::string_view cut_at(std::string_view text, std::size_t bytes_max) noexcept {
  if (text.size() <= bytes_max)
    return text;
  std::size_t end = bytes_max;
  for (unsigned back = 0; back < 3 && end > 0; ++back, --end)
    if ((static_cast<unsigned char>(text[end]) & 0xC0) != 0x80)
      return text.substr(0, end);  // the byte behind the cut begins a character
  if ((static_cast<unsigned char>(text[end]) & 0xC0) != 0x80)
    return text.substr(0, end);
  return text.substr(0, bytes_max);  // no UTF-8: any place is as good
}

std::string one_line(std::string_view text, std::size_t bytes_max) {
  // Cut before the copy, so that a large text costs nothing.
  const auto head = cut_at(text, bytes_max);
  std::string out = to_utf8(head);
  for (auto& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
      c = ' ';
  if (head.size() < text.size())
    out += "…";
  return out;
}

std::string without_secrets(std::string text, std::span<const std::string> secrets) {
  for (const auto& secret : secrets) {
    if (secret.size() < 4)
      continue;
    std::string out;
    std::size_t from = 0;
    for (auto at = text.find(secret); at != std::string::npos; at = text.find(secret, from)) {
      out.append(text, from, at - from).append("***");
      from = at + secret.size();
    }
    if (from != 0)
      text = out.append(text, from);
  }
  return text;
}

std::string without_credentials(std::string text, std::span<const std::string> secrets) {
  text = without_secrets(std::move(text), secrets);
  for (auto at = text.find("sk-"); at != std::string::npos; at = text.find("sk-", at + 3))
    if (at == 0 || !is_key_character(text[at - 1]))
      mask_word(text, at);
  for (const std::string_view word : {"Bearer ", "bearer "})
    for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + word.size()))
      mask_word(text, at + word.size());
  return text;
}

}  // namespace holdfast::model
