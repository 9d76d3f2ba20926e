#include "runtime/model/provider.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <vector>

using namespace holdfast;
using namespace holdfast::model;

TEST_CASE("provider: a cost is exact and rounded up once") {
  struct row {
    std::uint64_t input, cached, output;
    price at;
    nano_usd cost;
  };
  constexpr auto most = std::numeric_limits<nano_usd>::max();
  constexpr auto all = std::numeric_limits<std::uint64_t>::max();
  const std::vector<row> rows = {
    {0, 0, 0, {250'000'000, 2'000'000'000, 30'000'000}, 0},
    {1'000'000, 0, 0, {250'000'000, 0, 0}, 250'000'000},  // 0.25 USD
    {1'000, 400, 100, {250'000'000, 2'000'000'000, 30'000'000}, 150'000 + 12'000 + 200'000},
    {1, 0, 0, {1, 0, 0}, 1},  // a millionth of a nano-USD is one
    {1, 0, 1, {1, 1, 0}, 1},  // rounded once, not twice
    {999'999, 0, 1, {1, 1, 0}, 1},
    {1'000'000, 0, 1, {1, 1, 0}, 2},
    {10, 20, 0, {1'000'000, 0, 500'000}, 5},  // more cached than input: all of it is cached
    {5, 0, 5, {-1, -1, -1}, 0},
    {all, 0, all, {most, most, most}, most},
    {1, 0, 0, {most, 0, 0}, most / 1'000'000 + 1},
  };
  for (const auto& [input, cached, output, at, cost] : rows) {
    usage used;
    used.input_tokens = input;
    used.cached_input_tokens = cached;
    used.output_tokens = output;
    CHECK(cost_of(used, at) == cost);
  }
}

TEST_CASE("provider: an estimate counts everything that is sent, rounded up") {
  CHECK(estimate_tokens(0) == 0);
  CHECK(estimate_tokens(1) == 1);
  CHECK(estimate_tokens(4) == 1);
  CHECK(estimate_tokens(5) == 2);
  CHECK(estimate_tokens(std::numeric_limits<std::uint64_t>::max()) == (1ULL << 62));
  request asked;
  const auto nothing = estimate_input_tokens(asked);
  asked.instructions = std::string(400, 'x');
  CHECK(estimate_input_tokens(asked) == nothing + 100);
  asked.messages.push_back({message_role::user, std::string(40, 'x'), {}, {}, {}});
  CHECK(estimate_input_tokens(asked) == nothing + 100 + 14);
  asked.tools.push_back({"name", std::string(36, 'x'), std::string(40, 'x')});
  CHECK(estimate_input_tokens(asked) == nothing + 100 + 14 + 24);
}

TEST_CASE("provider: a reservation is estimated input and all of the allowed output") {
  request asked;
  asked.instructions = std::string(4'000, 'x');
  asked.output_tokens_max = 500;
  const auto held = estimate_reservation(asked, {1'000'000, 2'000'000, 0});
  CHECK(held.tokens == estimate_input_tokens(asked) + 500);
  CHECK(held.cost == static_cast<nano_usd>(estimate_input_tokens(asked)) + 1'000);
}
