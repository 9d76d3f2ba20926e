#include <doctest/doctest.h>

#include "runtime/core/retry.hpp"

using namespace holdfast;

TEST_CASE("backoff: doubles within its bounds, half of it fixed") {
  const retry_policy policy{10, 1'000, 30'000};
  for (std::uint64_t random : {0ULL, 1ULL, 12'345ULL, ~0ULL}) {
    std::int64_t base = 1'000;
    for (std::uint32_t attempt = 2; attempt < 12; ++attempt) {
      const auto wait = backoff_ms(policy, attempt, 0, random);
      CHECK(wait >= base / 2);
      CHECK(wait <= base);
      base = std::min<std::int64_t>(base * 2, 30'000);
    }
  }
}

TEST_CASE("backoff: spreads over its whole range") {
  const retry_policy policy{10, 1'000, 30'000};
  std::int64_t least = 10'000;
  std::int64_t most = 0;
  for (std::uint64_t random = 0; random < 1'000; ++random) {
    least = std::min(least, backoff_ms(policy, 2, 0, random));
    most = std::max(most, backoff_ms(policy, 2, 0, random));
  }
  CHECK(least == 500);
  CHECK(most == 1'000);
}

TEST_CASE("backoff: what the other side asked for is kept, up to an hour") {
  const retry_policy policy{10, 1'000, 30'000};
  CHECK(backoff_ms(policy, 2, 60'000, 1) == 60'000);
  CHECK(backoff_ms(policy, 2, 100'000'000, 1) == 3'600'000);
  CHECK(backoff_ms(policy, 2, -5, 0) == 500);
}

TEST_CASE("backoff: no policy makes it negative, zero-divided or endless") {
  for (const std::int64_t first : {-1LL, 0LL, 1LL, 1'000'000'000LL})
    for (const std::int64_t most : {-1LL, 0LL, 1LL, 1'000'000'000LL})
      for (std::uint32_t attempt : {0U, 1U, 2U, 60U, 4'000'000'000U}) {
        const auto wait = backoff_ms({5, first, most}, attempt, 0, 99);
        CHECK(wait >= 0);
        CHECK(wait <= 1'000'000'000);
      }
}
