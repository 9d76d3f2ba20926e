#pragma once
// SHA-256, as raw bytes and as text.

#include <optional>
#include <string>
#include <string_view>

namespace holdfast {

/// 32 bytes. Any thread.
std::string sha256(std::string_view bytes);

/// Lower-case hexadecimal digits.
std::string hex_text(std::string_view bytes);
/// Nothing when it is not hexadecimal; upper case is taken too.
std::optional<std::string> bytes_of_hex(std::string_view text);

/// Fills `out` from the system's source of randomness. False: there is none.
bool fill_random(char* out, std::size_t size);

}  // namespace holdfast
