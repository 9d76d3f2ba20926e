#include "schemas/units.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <random>

using namespace holdfast;

namespace {

constexpr std::int64_t int64_max = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t int64_min = std::numeric_limits<std::int64_t>::min();

/// A refusal says what was wrong and shows `example`.
template <class T>
void check_refused(const result<T>& parsed, std::string_view text, std::string_view example) {
  CAPTURE(std::string{text});
  REQUIRE_FALSE(parsed);
  CHECK(parsed.error().code == errc::schema);
  CHECK(parsed.error().context.find(example) != std::string::npos);
}

}  // namespace

TEST_CASE("a duration is read in milliseconds") {
  CHECK(*parse_duration_ms("250ms") == 250);
  CHECK(*parse_duration_ms("5s") == 5'000);
  CHECK(*parse_duration_ms("1h30m") == 5'400'000);
  CHECK(*parse_duration_ms("7d") == 604'800'000);
  CHECK(*parse_duration_ms("90m") == 5'400'000);
  CHECK(*parse_duration_ms("1d2h3m4s5ms") == 93'784'005);
  CHECK(*parse_duration_ms("0s") == 0);
  CHECK(*parse_duration_ms("9223372036854775807ms") == int64_max);
}

TEST_CASE("what is not a duration is refused with an example") {
  for (auto text : {"",
                    "5",
                    "s",
                    "5S",
                    "-5s",
                    "+5s",
                    "1.5s",
                    " 5s",
                    "5s ",
                    "5 s",
                    "1h 30m",
                    "30m1h",
                    "1s1s",
                    "5sec",
                    "1w",
                    "5us",
                    "1e3s",
                    "9223372036854775808ms",
                    "106751991168d",
                    "99999999999999999999s",
                    "9223372036854775807ms1ms",
                    "106751991167d8h"})
    check_refused(parse_duration_ms(text), text, "1h30m");
}

TEST_CASE("a duration is written in its largest units") {
  CHECK(format_duration_ms(0) == "0s");
  CHECK(format_duration_ms(250) == "250ms");
  CHECK(format_duration_ms(1'500) == "1s500ms");
  CHECK(format_duration_ms(5'400'000) == "1h30m");
  CHECK(format_duration_ms(604'800'000) == "7d");
  CHECK(format_duration_ms(-1'000) == "-1s");
  for (std::int64_t value : {std::int64_t{1}, std::int64_t{86'399'999}, int64_max})
    CHECK(*parse_duration_ms(format_duration_ms(value)) == value);
}

TEST_CASE("a size is read in bytes") {
  CHECK(*parse_size_bytes("0B") == 0);
  CHECK(*parse_size_bytes("512B") == 512);
  CHECK(*parse_size_bytes("64KiB") == 65'536);
  CHECK(*parse_size_bytes("512MiB") == 536'870'912);
  CHECK(*parse_size_bytes("1GiB") == 1'073'741'824);
  CHECK(*parse_size_bytes("2TiB") == 2'199'023'255'552);
  CHECK(*parse_size_bytes("16777215TiB") == std::uint64_t{16'777'215} << 40);
}

TEST_CASE("what is not a size is refused with an example") {
  for (auto text : {"", "64", "64K", "64KB", "64kib", "KiB", "-1KiB", "1.5GiB", "64 KiB", "64KiB ",
                    "1GiB1MiB", "16777216TiB", "18446744073709551616B"})
    check_refused(parse_size_bytes(text), text, "64KiB");
}

TEST_CASE("a size is written with the largest unit that divides it") {
  CHECK(format_size_bytes(0) == "0B");
  CHECK(format_size_bytes(1'500) == "1500B");
  CHECK(format_size_bytes(65'536) == "64KiB");
  CHECK(format_size_bytes(65'537) == "65537B");
  CHECK(format_size_bytes(1'073'741'824) == "1GiB");
  CHECK(format_size_bytes(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615B");
}

TEST_CASE("money is read exactly") {
  CHECK(*parse_usd("1.50") == 1'500'000'000);
  CHECK(*parse_usd("0.000123") == 123'000);
  CHECK(*parse_usd("0.000000001") == 1);
  CHECK(*parse_usd("20") == 20'000'000'000);
  CHECK(*parse_usd("0") == 0);
  CHECK(*parse_usd("0.1") == 100'000'000);
  CHECK(*parse_usd("9223372036.854775807") == int64_max);
  CHECK(*parse_usd("-2.25", money_sign::any) == -2'250'000'000);
  CHECK(*parse_usd("-9223372036.854775808", money_sign::any) == int64_min);
}

TEST_CASE("what is not an amount is refused with an example") {
  for (auto text :
       {"", ".", "1.", ".5", "-1.50", "+1", "$1", "1,50", "1e3", " 1", "1 ", "0x10", "1.0000000000",
        "0.0000000001", "9223372036.854775808", "99999999999999999999", "NaN", "--1", "1.5.0"})
    check_refused(parse_usd(text), text, "\"1.50\"");
  for (auto text : {"--1", "-", "-.5", "-9223372036.854775809"})
    check_refused(parse_usd(text, money_sign::any), text, "\"1.50\"");
}

TEST_CASE("money is written with at least two decimals and comes back") {
  CHECK(format_usd(0) == "0.00");
  CHECK(format_usd(1'500'000'000) == "1.50");
  CHECK(format_usd(123'000) == "0.000123");
  CHECK(format_usd(1) == "0.000000001");
  CHECK(format_usd(20'000'000'000) == "20.00");
  CHECK(format_usd(-100'000'000) == "-0.10");
  std::mt19937_64 random{3};
  for (int i = 0; i < 1'000; ++i) {
    const auto amount = static_cast<nano_usd>(random()) >> random() % 64;
    CHECK(*parse_usd(format_usd(amount), money_sign::any) == amount);
  }
  for (auto amount : {int64_max, int64_min})
    CHECK(*parse_usd(format_usd(amount), money_sign::any) == amount);
}

TEST_CASE("a time is written in UTC with milliseconds, rounded down") {
  CHECK(format_time(0) == "1970-01-01T00:00:00.000Z");
  CHECK(format_time(1'795'248'000'000'000) == "2026-11-21T08:00:00.000Z");
  CHECK(format_time(1'795'248'000'999'999) == "2026-11-21T08:00:00.999Z");
  CHECK(format_time(-1) == "1969-12-31T23:59:59.999Z");
  CHECK(format_time(951'782'400'000'000) == "2000-02-29T00:00:00.000Z");
  CHECK(format_time(int64_max) == "9999-12-31T23:59:59.999Z");
  CHECK(format_time(int64_min) == "0000-01-01T00:00:00.000Z");
}

TEST_CASE("a time is read with any offset and precision") {
  const time_us eight = 1'795'248'000'000'000;
  for (auto text :
       {"2026-11-21T08:00:00Z", "2026-11-21T08:00:00.000Z", "2026-11-21t08:00:00z",
        "2026-11-21T09:00:00+01:00", "2026-11-21T02:30:00-05:30", "2026-11-22T07:59:00+23:59",
        "2026-11-21T08:00:00-00:00", "2026-11-21T08:00:00.0000009Z"})
    CHECK_MESSAGE(*parse_time(text) == eight, text);
  CHECK(*parse_time("2026-11-21T08:00:00.1Z") == eight + 100'000);
  CHECK(*parse_time("2026-11-21T08:00:00.123456789Z") == eight + 123'456);
  CHECK(*parse_time("1969-12-31T23:59:59.999Z") == -1'000);
  CHECK(*parse_time("2016-12-31T23:59:60Z") == *parse_time("2017-01-01T00:00:00Z"));
  CHECK(*parse_time("2016-12-31T18:59:60.5-05:00") == *parse_time("2017-01-01T00:00:00.5Z"));
}

TEST_CASE("what is not a time is refused with an example") {
  for (auto text : {"",
                    "2026-11-21",
                    "2026-11-21T08:00:00",
                    "2026-11-21 08:00:00Z",
                    "2026-11-21T08:00Z",
                    "2026-13-21T08:00:00Z",
                    "2026-00-21T08:00:00Z",
                    "2026-02-29T08:00:00Z",
                    "2026-11-31T08:00:00Z",
                    "2026-11-00T08:00:00Z",
                    "2026-11-21T24:00:00Z",
                    "2026-11-21T08:60:00Z",
                    "2026-11-21T08:00:61Z",
                    "2026-11-21T08:00:60Z",
                    "2026-11-21T08:00:00.Z",
                    "2026-11-21T08:00:00+24:00",
                    "2026-11-21T08:00:00+0100",
                    "2026-11-21T08:00:00+01",
                    "2026-11-21T08:00:00ZZ",
                    " 2026-11-21T08:00:00Z",
                    "26-11-21T08:00:00Z",
                    "2026-1-21T08:00:00Z",
                    "12026-11-21T08:00:00Z",
                    "2026-11-21T08:00:00,5Z",
                    "1795248000"})
    check_refused(parse_time(text), text, "2026-11-21T08:00:00.000Z");
}

TEST_CASE("times come back from their text to the millisecond") {
  std::mt19937_64 random{4};
  for (int i = 0; i < 1'000; ++i) {
    const auto at = static_cast<time_us>(random() % 4'000'000'000'000'000) - 2'000'000'000'000'000;
    const auto parsed = *parse_time(format_time(at));
    CHECK(parsed <= at);
    CHECK(at - parsed < 1'000);
  }
}

TEST_CASE("a refusal does not repeat a long or unprintable text") {
  const auto refused = parse_time(std::string(10'000, '\x1b'));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().context.size() < 300);
  CHECK(refused.error().context.find('\x1b') == std::string::npos);
}
