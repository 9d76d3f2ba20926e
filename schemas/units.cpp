#include "schemas/units.hpp"

#include <array>
#include <charconv>
#include <chrono>
#include <limits>
#include <optional>

namespace holdfast {

namespace {

constexpr std::size_t shown_length_max = 64;

/// What was written, short enough for an error.
std::string quoted(std::string_view text) {
  std::string out{'\''};
  for (char c : text.substr(0, shown_length_max))
    out += c >= 0x20 && c < 0x7F ? c : '?';
  out += text.size() > shown_length_max ? "…'" : "'";
  return out;
}

error refusal(std::string_view text, std::string_view good) {
  return error{errc::schema, quoted(text) + " is not " + std::string{good}};
}

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

std::size_t digits_in_front(std::string_view text) noexcept {
  std::size_t count = 0;
  while (count < text.size() && is_digit(text[count]))
    ++count;
  return count;
}

/// The number at the front of `text`, which is cut off it. Nothing when there is none or it does
/// not fit.
std::optional<std::uint64_t> take_number(std::string_view& text) noexcept {
  const auto digits = digits_in_front(text);
  std::uint64_t value = 0;
  if (std::from_chars(text.data(), text.data() + digits, value).ec != std::errc{})
    return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

struct unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr std::string_view good_duration =
  "a duration such as 250ms, 5s, 1h30m or 7d (units d h m s ms, from large to small)";
constexpr std::string_view good_size = "a size such as 512B, 64KiB, 512MiB or 1GiB";
constexpr std::string_view good_usd =
  "an amount of USD such as \"1.50\" or \"0.000123\" (not negative, at most 9 decimals)";
constexpr std::string_view good_usd_signed =
  "an amount of USD such as \"1.50\" or \"-0.000123\" (at most 9 decimals)";
constexpr std::string_view good_time =
  "an RFC 3339 time such as 2026-11-21T08:00:00.000Z or 2026-11-21T09:00:00+01:00";

constexpr std::array duration_units{unit{"d", 86'400'000}, unit{"h", 3'600'000}, unit{"m", 60'000},
                                    unit{"s", 1'000}, unit{"ms", 1}};
constexpr std::array size_units{unit{"TiB", std::uint64_t{1} << 40}, unit{"GiB", 1U << 30},
                                unit{"MiB", 1U << 20}, unit{"KiB", 1U << 10}, unit{"B", 1}};

constexpr std::uint64_t int64_limit = std::numeric_limits<std::int64_t>::max();
constexpr std::uint64_t nano_per_usd = 1'000'000'000;
constexpr std::size_t usd_decimals_max = 9;

std::uint64_t magnitude(std::int64_t value) noexcept {
  return value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
}

}  // namespace

result<std::int64_t> parse_duration_ms(std::string_view text) {
  std::string_view rest = text;
  std::uint64_t total = 0;
  std::size_t next_unit = 0;
  if (rest.empty())
    return refusal(text, good_duration);
  while (!rest.empty()) {
    const auto number = take_number(rest);
    if (!number)
      return refusal(text, good_duration);
    std::size_t letters = 0;
    while (letters < rest.size() && !is_digit(rest[letters]))
      ++letters;
    const auto name = rest.substr(0, letters);
    while (next_unit < duration_units.size() && duration_units[next_unit].name != name)
      ++next_unit;
    if (next_unit == duration_units.size())
      return refusal(text, good_duration);
    const auto factor = duration_units[next_unit++].factor;
    if (*number > (int64_limit - total) / factor)
      return refusal(text, good_duration);
    total += *number * factor;
    rest.remove_prefix(letters);
  }
  return static_cast<std::int64_t>(total);
}

std::string format_duration_ms(std::int64_t duration_ms) {
  if (duration_ms == 0)
    return "0s";
  std::string out = duration_ms < 0 ? "-" : "";
  std::uint64_t rest = magnitude(duration_ms);
  for (const auto& [name, factor] : duration_units) {
    if (rest >= factor)
      out.append(std::to_string(rest / factor)).append(name);
    rest %= factor;
  }
  return out;
}

result<std::uint64_t> parse_size_bytes(std::string_view text) {
  std::string_view rest = text;
  const auto number = take_number(rest);
  if (!number)
    return refusal(text, good_size);
  for (const auto& [name, factor] : size_units)
    if (rest == name && *number <= std::numeric_limits<std::uint64_t>::max() / factor)
      return *number * factor;
  return refusal(text, good_size);
}

std::string format_size_bytes(std::uint64_t size_bytes) {
  for (const auto& [name, factor] : size_units)
    if (size_bytes != 0 && size_bytes % factor == 0)
      return std::to_string(size_bytes / factor).append(name);
  return "0B";
}

result<nano_usd> parse_usd(std::string_view text, money_sign sign) {
  const auto good = sign == money_sign::any ? good_usd_signed : good_usd;
  std::string_view rest = text;
  const bool negative = sign == money_sign::any && rest.starts_with('-');
  if (negative)
    rest.remove_prefix(1);
  const auto whole = take_number(rest);
  if (!whole)
    return refusal(text, good);
  std::uint64_t nano = 0;
  if (!rest.empty()) {
    if (rest.front() != '.')
      return refusal(text, good);
    rest.remove_prefix(1);
    if (rest.empty() || rest.size() > usd_decimals_max || digits_in_front(rest) != rest.size())
      return refusal(text, good);
    std::size_t decimals = rest.size();
    nano = *take_number(rest);
    for (; decimals < usd_decimals_max; ++decimals)
      nano *= 10;
  }
  const std::uint64_t limit = int64_limit + (negative ? 1 : 0);
  if (*whole > (limit - nano) / nano_per_usd)
    return refusal(text, good);
  const std::uint64_t amount = *whole * nano_per_usd + nano;
  return static_cast<nano_usd>(negative ? 0 - amount : amount);
}

std::string format_usd(nano_usd amount) {
  const std::uint64_t nano = magnitude(amount);
  std::string decimals = std::to_string(nano % nano_per_usd);
  decimals.insert(0, usd_decimals_max - decimals.size(), '0');
  while (decimals.size() > 2 && decimals.back() == '0')
    decimals.pop_back();
  std::string out = amount < 0 ? "-" : "";
  return out.append(std::to_string(nano / nano_per_usd)).append(1, '.').append(decimals);
}

namespace {

using std::chrono::sys_days;

constexpr time_us us_per_second = 1'000'000;
constexpr time_us us_per_day = 86'400 * us_per_second;

constexpr time_us midnight(std::chrono::year_month_day date) noexcept {
  return sys_days{date}.time_since_epoch().count() * us_per_day;
}

constexpr time_us time_first = midnight(std::chrono::year{0} / 1 / 1);
constexpr time_us time_last = midnight(std::chrono::year{10'000} / 1 / 1) - 1;

/// `value` in exactly `width` digits.
void append_padded(std::string& out, unsigned value, std::size_t width) {
  const auto at = out.size();
  out.append(width, '0');
  for (std::size_t i = width; i-- > 0; value /= 10)
    out[at + i] = static_cast<char>('0' + value % 10);
}

/// Exactly `width` digits at the front of `text`, which are cut off it, not above `limit`.
std::optional<unsigned> take_padded(std::string_view& text, std::size_t width, unsigned limit) {
  if (digits_in_front(text.substr(0, width)) != width)
    return std::nullopt;
  unsigned value = 0;
  for (char c : text.substr(0, width))
    value = value * 10 + static_cast<unsigned>(c - '0');
  text.remove_prefix(width);
  return value > limit ? std::nullopt : std::optional{value};
}

/// One of `letters` at the front of `text`, which is cut off it.
bool take_letter(std::string_view& text, std::string_view letters) {
  if (text.empty() || letters.find(text.front()) == std::string_view::npos)
    return false;
  text.remove_prefix(1);
  return true;
}

std::optional<time_us> take_date(std::string_view& text) {
  const auto year = take_padded(text, 4, 9'999);
  const bool dash1 = take_letter(text, "-");
  const auto month = take_padded(text, 2, 12);
  const bool dash2 = take_letter(text, "-");
  const auto day = take_padded(text, 2, 31);
  if (!year || !dash1 || !month || !dash2 || !day)
    return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{static_cast<int>(*year)},
                                         std::chrono::month{*month}, std::chrono::day{*day}};
  return date.ok() ? std::optional{midnight(date)} : std::nullopt;
}

struct clock_time {
  time_us since_midnight = 0;
  bool leap_second = false;
};

std::optional<clock_time> take_clock(std::string_view& text) {
  const auto hour = take_padded(text, 2, 23);
  const bool colon1 = take_letter(text, ":");
  const auto minute = take_padded(text, 2, 59);
  const bool colon2 = take_letter(text, ":");
  const auto second = take_padded(text, 2, 60);
  if (!hour || !colon1 || !minute || !colon2 || !second)
    return std::nullopt;
  time_us fraction = 0;
  if (take_letter(text, ".")) {
    const auto digits = digits_in_front(text);
    if (digits == 0)
      return std::nullopt;
    for (std::size_t i = 0; i < 6; ++i)
      fraction = fraction * 10 + (i < digits ? text[i] - '0' : 0);
    text.remove_prefix(digits);
  }
  const time_us seconds = (*hour * 60 + *minute) * 60 + *second;
  return clock_time{seconds * us_per_second + fraction, *second == 60};
}

/// What must be subtracted from the local time.
std::optional<time_us> take_offset(std::string_view& text) {
  if (take_letter(text, "Zz"))
    return 0;
  const bool west = text.starts_with('-');
  if (!take_letter(text, "+-"))
    return std::nullopt;
  const auto hours = take_padded(text, 2, 23);
  const bool colon = take_letter(text, ":");
  const auto minutes = take_padded(text, 2, 59);
  if (!hours || !colon || !minutes)
    return std::nullopt;
  const time_us offset = time_us{*hours * 60 + *minutes} * 60 * us_per_second;
  return west ? -offset : offset;
}

}  // namespace

std::string format_time(time_us at) {
  const time_us inside = at < time_first ? time_first : at > time_last ? time_last : at;
  const std::chrono::sys_time<std::chrono::microseconds> point{std::chrono::microseconds{inside}};
  const auto days = std::chrono::floor<std::chrono::days>(point);
  const std::chrono::year_month_day date{days};
  const std::chrono::hh_mm_ss clock{std::chrono::floor<std::chrono::milliseconds>(point - days)};
  std::string out;
  out.reserve(24);
  append_padded(out, static_cast<unsigned>(static_cast<int>(date.year())), 4);
  append_padded(out += '-', static_cast<unsigned>(date.month()), 2);
  append_padded(out += '-', static_cast<unsigned>(date.day()), 2);
  append_padded(out += 'T', static_cast<unsigned>(clock.hours().count()), 2);
  append_padded(out += ':', static_cast<unsigned>(clock.minutes().count()), 2);
  append_padded(out += ':', static_cast<unsigned>(clock.seconds().count()), 2);
  append_padded(out += '.', static_cast<unsigned>(clock.subseconds().count()), 3);
  return out += 'Z';
}

result<time_us> parse_time(std::string_view text) {
  std::string_view rest = text;
  const auto date = take_date(rest);
  const bool separator = take_letter(rest, "Tt");
  const auto clock = take_clock(rest);
  const auto offset = take_offset(rest);
  if (!date || !separator || !clock || !offset || !rest.empty())
    return refusal(text, good_time);
  const time_us at = *date + clock->since_midnight - *offset;
  // A leap second ends a day of UTC (RFC 3339 §5.7).
  if (clock->leap_second && (at % us_per_day + us_per_day) % us_per_day >= us_per_second)
    return refusal(text, good_time);
  return at;
}

}  // namespace holdfast
