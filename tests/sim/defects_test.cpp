// Defects put in on purpose, at the seams around the core: the simulator must find every one. Each
// runs in a process of its own, because a broken invariant ends it, which counts as found.

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "tests/sim/simulation.hpp"

using namespace holdfast;
using namespace holdfast::sim;

namespace {

constexpr std::uint64_t seeds_max = 40;

/// What the simulator said of the first seed that it found fault with; empty when it found none.
std::string find(defect planted) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  std::fflush(nullptr);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    for (std::uint64_t seed = 1; seed <= seeds_max; ++seed) {
      std::fprintf(stderr, "seed %llu: ", static_cast<unsigned long long>(seed));
      try {
        coverage seen;
        simulation world{{seed, 300, planted, false}, seen};
        world.run();
        std::fprintf(stderr, "nothing\n");
      } catch (const std::exception& found) {
        std::fprintf(stderr, "%s\n", found.what());
        _exit(1);
      }
    }
    _exit(0);
  }
  close(ends[1]);
  std::string said;
  char piece[4'096];
  for (ssize_t got = 0; (got = read(ends[0], piece, sizeof piece)) > 0;)
    said.append(piece, static_cast<std::size_t>(got));
  close(ends[0]);
  int how = 0;
  REQUIRE(waitpid(child, &how, 0) == child);
  if (WIFEXITED(how) && WEXITSTATUS(how) == 0)
    return {};
  const auto last = said.rfind("seed ");
  return last == std::string::npos ? said : said.substr(last, said.find('\n', last) - last);
}

}  // namespace

TEST_CASE("sim: nothing is found where nothing was planted") { CHECK(find(defect::none) == ""); }

TEST_CASE("sim: every planted defect is found") {
  for (std::size_t i = 1; i < defect_count; ++i) {
    const auto planted = static_cast<defect>(i);
    const auto found = find(planted);
    CHECK_MESSAGE(!found.empty(), name_of(planted), " was not found in ", seeds_max, " seeds");
    MESSAGE(std::string{name_of(planted)}, ": ", found);
  }
}
