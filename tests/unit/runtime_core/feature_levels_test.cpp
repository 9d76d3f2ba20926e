// Rolling upgrades: who takes part, and when the cluster goes over to what is new.

#include "runtime/core/feature_levels.hpp"

#include <doctest/doctest.h>

using namespace holdfast;

TEST_CASE("feature levels: a node takes part when it can do what the cluster uses") {
  CHECK(level_problem({1, 2}, 1).empty());
  CHECK(level_problem({1, 2}, 2).empty());
  CHECK(level_problem({1, 2}, 3).find("newer release") != std::string::npos);
  CHECK(level_problem({2, 3}, 1).find("in between") != std::string::npos);
}

TEST_CASE("feature levels: the cluster goes over when every member is known to be able to") {
  CHECK(raised_level(1, {2, 2, 2}) == 2);
  CHECK(raised_level(1, {2, 1, 3}) == 1);
  CHECK(raised_level(1, {3, 2, 3}) == 2);
  CHECK(raised_level(1, {2, std::nullopt, 2}) == 1);
  CHECK(raised_level(2, {1, 1}) == 2);
  CHECK(raised_level(1, {}) == 1);
}

TEST_CASE("feature levels: what a test tells is read strictly") {
  CHECK(parse_feature_levels("1-2") == feature_levels{1, 2});
  for (const auto* wrong : {"", "1", "1-", "-2", "2-1", "0-1", "1-2 ", "a-b"})
    CHECK_FALSE(parse_feature_levels(wrong));
}
