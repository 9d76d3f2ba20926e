#include "runtime/model/http_failure.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <utility>

#include "runtime/model/text.hpp"

namespace holdfast::model {

namespace {

constexpr std::int64_t wait_ms_max = 24 * 3'600'000;

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  return text;
}

/// Takes the next word, up to one of `ends` or the end.
std::string_view take_word(std::string_view& text, std::string_view ends) noexcept {
  text.remove_prefix(std::min(text.find_first_not_of(ends), text.size()));
  const auto end = std::min(text.find_first_of(ends), text.size());
  const auto word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

std::optional<int> number(std::string_view text) noexcept {
  int value = 0;
  const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (bad != std::errc{} || end != text.data() + text.size() || value < 0)
    return std::nullopt;
  return value;
}

std::optional<unsigned> month_number(std::string_view text) noexcept {
  constexpr std::array<std::string_view, 12> names = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  for (unsigned i = 0; i < names.size(); ++i)
    if (names[i] == text)
      return i + 1;
  return std::nullopt;
}

/// RFC 9110 §5.6.7: `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT`, `Sun Nov  6
/// 08:49:37 1994`. The day of the week is not looked at. Seconds since 1970.
std::optional<std::int64_t> parse_http_date(std::string_view text, time_us now) noexcept {
  using namespace std::chrono;
  const bool asctime = text.find(',') == std::string_view::npos;
  take_word(text, " ,-");  // the day of the week
  auto day_text = take_word(text, " ,-");
  auto month_text = take_word(text, " ,-");
  if (asctime)
    std::swap(day_text, month_text);
  auto year_text = asctime ? std::string_view{} : take_word(text, " ,-");
  const auto hour = number(take_word(text, " :"));
  const auto minute = number(take_word(text, " :"));
  const auto second = number(take_word(text, " :"));
  if (asctime)
    year_text = take_word(text, " ");
  const auto day_no = number(day_text);
  const auto month_no = month_number(month_text);
  auto year_no = number(year_text);
  if (!day_no || !month_no || !year_no || !hour || !minute || !second || *hour > 23 ||
      *minute > 59 || *second > 60 || *year_no > 9'999)
    return std::nullopt;
  if (year_text.size() == 2) {  // more than 50 years ahead means the past
    const auto today = year_month_day{floor<days>(sys_time<microseconds>{microseconds{now}})};
    const int century = static_cast<int>(today.year()) / 100 * 100;
    *year_no += century;
    if (*year_no > static_cast<int>(today.year()) + 50)
      *year_no -= 100;
  }
  const year_month_day date{year{*year_no}, month{*month_no}, day{static_cast<unsigned>(*day_no)}};
  if (!date.ok())
    return std::nullopt;
  return duration_cast<seconds>(sys_days{date}.time_since_epoch()).count() + *hour * 3'600 +
         *minute * 60 + *second;
}

/// `2`, `0.5`; digits and at most one point, in units of 1/`scale`.
std::optional<std::int64_t> parse_decimal(std::string_view text, std::int64_t scale) noexcept {
  if (text.empty() || text.find_first_not_of("0123456789.") != std::string_view::npos)
    return std::nullopt;
  double value = 0;
  const auto [end, bad] =
    std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (end != text.data() + text.size())
    return std::nullopt;
  if (bad != std::errc{} || value > 1e9)
    value = 1e9;
  return static_cast<std::int64_t>(value * static_cast<double>(scale) + 0.999);
}

}  // namespace

std::string_view find_header(const net::header_list& headers, std::string_view name) noexcept {
  for (const auto& [key, value] : headers)
    if (net::equals_ignoring_case(key, name))
      return trimmed(value);
  return {};
}

std::optional<std::int64_t> retry_after_ms(const net::header_list& headers, time_us now) noexcept {
  const auto bounded = [](std::int64_t wait) {
    return std::clamp<std::int64_t>(wait, 0, wait_ms_max);
  };
  if (const auto wait = parse_decimal(find_header(headers, "retry-after-ms"), 1))
    return bounded(*wait);
  const auto text = find_header(headers, "retry-after");
  if (const auto wait = parse_decimal(text, 1'000))
    return bounded(*wait);
  if (const auto at = parse_http_date(text, now))
    return bounded(*at * 1'000 - now / 1'000);
  return std::nullopt;
}

attempt_outcome failed_attempt(failure_kind kind, std::string code, std::string text,
                               std::int64_t retry_after_ms) {
  attempt_outcome out;
  out.status = outcome_status::failed;
  out.failure_reason = kind;
  out.error.code = std::move(code);
  out.error.message = std::move(text);
  out.error.retryable = kind != failure_kind::rejected;
  out.retry_after_ms = retry_after_ms;
  return out;
}

attempt_outcome transport_outcome(transport_end end, std::string_view who,
                                  std::string_view detail) {
  const std::string name{who};
  const std::string text = one_line(detail, 500);
  switch (end) {
    case transport_end::refused:
      return failed_attempt(failure_kind::rejected, name + "_refused",
                            "the call was not made: " + text);
    case transport_end::not_sent:
      return failed_attempt(failure_kind::not_sent, name + "_unreachable",
                            "nothing was sent: " + text);
    case transport_end::cancelled:
      return failed_attempt(failure_kind::cancelled, name + "_cancelled",
                            "the call was stopped: " + text);
    case transport_end::broken:
      break;
  }
  return failed_attempt(failure_kind::transient, name + "_unavailable",
                        "the call broke off, the other side may have acted: " + text);
}

}  // namespace holdfast::model
