#include "persistence/kill_point.hpp"

#include <csignal>

#include "tests/unit/persistence/child.hpp"
#include "tests/unit/persistence/fixture.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {
constexpr const char* kill_point_child = "kill_point child: passes two points five times";
}

TEST_CASE("kill_point child: passes two points five times" * doctest::skip()) {
  arm_kill_points();
  for (char i = 1; i <= 5; ++i) {
    kill_point("one");
    kill_point("two");
    child::send(&i, 1);
  }
}

TEST_CASE("kill_point: the count-th passage of the named point kills, and no other") {
  const auto passages = [](const std::string& spec) {
    child process{kill_point_child, {{"HOLDFAST_KILL_POINT", spec}}};
    int passed = 0;
    for (char one = 0; process.receive(&one, 1);)
      passed = one;
    return std::pair{passed, process.wait()};
  };
  CHECK(passages("one:1") == std::pair{0, -SIGKILL});
  CHECK(passages("two:3") == std::pair{2, -SIGKILL});
  CHECK(passages("two") == std::pair{0, -SIGKILL});
  CHECK(passages("two:6") == std::pair{5, 0});
  CHECK(passages("three:1") == std::pair{5, 0});
  CHECK(passages("") == std::pair{5, 0});
}
