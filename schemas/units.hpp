#pragma once
// Durations, sizes, money and times as people write them (INTERFACE, "Conventions"). Pure; parsing
// is strict, and every refusal (`schema`) shows a good value. What was formatted parses back to the
// same number.

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include "schemas/effect.hpp"
#include "schemas/error.hpp"
#include "schemas/ids.hpp"

namespace holdfast {

/// `250ms 5s 1h30m 7d` in milliseconds: whole numbers with units d, h, m, s, ms, each at most once
/// and from large to small. No sign, no spaces, no fractions; `0s` is zero.
result<std::int64_t> parse_duration_ms(std::string_view text);
/// The canonical text: 5'400'000 is `1h30m`, 0 is `0s`. A negative value gets a `-` in front, which
/// does not parse.
std::string format_duration_ms(std::int64_t duration_ms);

/// `64KiB 512MiB 1GiB` in bytes: a whole number and one of B, KiB, MiB, GiB, TiB.
result<std::uint64_t> parse_size_bytes(std::string_view text);
/// With the largest unit that divides it: 65'536 is `64KiB`, 1'500 is `1500B`.
std::string format_size_bytes(std::uint64_t size_bytes);

enum class money_sign : std::uint8_t { not_negative = 1, any = 2 };

/// USD as decimal text, exact: `1.50`, `0.000123`, `20`. Up to 9 decimals; no currency sign,
/// exponent or spaces.
result<nano_usd> parse_usd(std::string_view text, money_sign sign = money_sign::not_negative);
/// At least two decimals, no further trailing zeros: `0.00`, `1.50`, `0.000123`, `-2.00`.
std::string format_usd(nano_usd amount);

/// RFC 3339 in UTC with milliseconds, rounded down: `2026-11-21T08:00:00.000Z`. Outside the years
/// 0000–9999 the nearest time inside.
std::string format_time(time_us at);
/// RFC 3339 with any offset and any number of decimals; what is below a microsecond is dropped. A
/// leap second is the second after it.
result<time_us> parse_time(std::string_view text);

/// True when the whole text is one number that fits; `out` is written to in any case.
template <class Number>
bool parse_number(std::string_view text, Number& out) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out);
  return failed == std::errc{} && end == text.data() + text.size();
}

}  // namespace holdfast
