#include "runtime/expression/nearest_name.hpp"

#include <doctest/doctest.h>

#include <array>

using namespace holdfast;

namespace {

constexpr std::array<std::string_view, 4> names{"instructions", "input", "output", "on"};

}  // namespace

TEST_CASE("nearest_name: a misspelt name finds its neighbour, swaps and case included") {
  CHECK(nearest_name("instrutions", names) == "instructions");
  CHECK(nearest_name("inptu", names) == "input");
  CHECK(nearest_name("INPUT", names) == "input");
  CHECK(nearest_name("no", names) == "on");
}

TEST_CASE("nearest_name: what is like nothing finds nothing") {
  CHECK(nearest_name("schedule", names).empty());
  CHECK(nearest_name("", names).empty());
  CHECK(nearest_name(std::string(1000, 'i'), names).empty());
  CHECK(did_you_mean("schedule", names).empty());
}

TEST_CASE("nearest_name: the sentence and the list are ready for a user") {
  CHECK(did_you_mean("ouput", names) == "; did you mean `output`?");
  CHECK(list_of(names, "or") == "`instructions`, `input`, `output` or `on`");
}
