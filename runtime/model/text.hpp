#pragma once
// Text from outside, made fit to store and show. Pure, never throws but for memory.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace holdfast::model {

/// U+FFFD.
inline constexpr std::string_view replacement_character = "\xEF\xBF\xBD";

/// True for well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms).
bool is_utf8(std::string_view text) noexcept;

/// Ill-formed sequences become U+FFFD, one per maximal subpart (Unicode 15 §3.9).
std::string to_utf8(std::string_view bytes);

/// The longest prefix of at most `bytes_max` that does not end inside a UTF-8 sequence.
std::string_view cut_at(std::string_view text, std::size_t bytes_max) noexcept;

/// The head of foreign text on one line: well-formed UTF-8, control characters as spaces, `…` when
/// cut.
std::string one_line(std::string_view text, std::size_t bytes_max);

/// Replaces every occurrence of the given secrets by `***`. Those shorter than four bytes stay:
/// they would tear holes into everything.
std::string without_secrets(std::string text, std::span<const std::string> secrets);

/// Also what looks like a key: words that begin with `sk-`, and what follows `Bearer `.
std::string without_credentials(std::string text, std::span<const std::string> secrets);

}  // namespace holdfast::model
