// Whole lives of clusters, by seed. SIM_SEEDS=from:to runs those; SIM_TRACE=1 writes down what
// happens. SIM_DEFECT=name plants that one only, and SIM_DEFECT_SEEDS=n looks for it in seeds 1 to
// n.

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <set>

#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "tests/consensus/sim_types.hpp"

namespace holdfast::sim {

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t seeds_default = 60;
constexpr std::uint64_t seeds_for_defects =
  0;  // a broken promise may be a crash, which sanitizers report
#else
constexpr std::uint64_t seeds_default = 5'000;
constexpr std::uint64_t seeds_for_defects = 2'000;
#endif

/// They need a rare coincidence, and have tests of their own in raft_core_test.cpp.
const std::set<std::string> rarely_found{"messages_before_sync",    "pre_candidate_not_told",
                                         "stale_index_kept",        "disrupt_for_ever",
                                         "late_rejection_believed", "previous_change_open"};

volatile std::uint64_t seed_now = 0;

/// A broken invariant ends the process: say at which seed.
void tell_seed(int signal) {
  char text[64];
  const int length = std::snprintf(text, sizeof text, "simulation: seed %llu\n",
                                   static_cast<unsigned long long>(seed_now));
  [[maybe_unused]] const auto written = write(2, text, static_cast<std::size_t>(length));
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

std::pair<std::uint64_t, std::uint64_t> seeds() {
  unsigned long long from = 1;
  unsigned long long to = seeds_default;
  if (const char* text = std::getenv("SIM_SEEDS");
      text && std::sscanf(text, "%llu:%llu", &from, &to) == 1)
    to = from;
  return {from, to};
}

/// The first seed of 1 to `last` that a planted defect breaks a promise in, in a process of its
/// own; 0: none.
std::uint64_t first_found(defect planted, std::uint64_t last, std::string& how) {
  int pipes[2];
  REQUIRE(pipe(pipes) == 0);
  std::fflush(nullptr);
  const auto child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);
    std::signal(SIGSEGV, SIG_DFL);
    dup2(pipes[1], 2);
    for (std::uint64_t seed = 1; seed <= last; ++seed) {
      dprintf(pipes[1], "@%llu ", static_cast<unsigned long long>(seed));
      const auto result = run_seed(seed, planted);
      if (!result.violated.empty()) {
        dprintf(pipes[1], "%s", result.violated.c_str());
        _exit(1);
      }
    }
    _exit(0);
  }
  close(pipes[1]);
  std::string text;
  char block[4096];
  for (ssize_t n = 0; (n = read(pipes[0], block, sizeof block)) > 0;)
    text.append(block, static_cast<std::size_t>(n));
  close(pipes[0]);
  int state = 0;
  waitpid(child, &state, 0);
  if (WIFEXITED(state) && WEXITSTATUS(state) == 0)
    return 0;
  const auto at = text.rfind('@');
  how = text.substr(text.find(' ', at) + 1);
  how = how.empty() ? "signal " + std::to_string(WTERMSIG(state)) : how.substr(0, how.find('\n'));
  return std::strtoull(text.c_str() + at + 1, nullptr, 10);
}

}  // namespace

TEST_CASE("consensus: no promise is broken, whatever fails") {
  const auto [from, to] = seeds();
  std::signal(SIGABRT, tell_seed);
  std::signal(SIGSEGV, tell_seed);
  counters all;
  std::uint64_t digest = 0;
  for (auto seed = from; seed <= to; ++seed) {
    seed_now = seed;
    const auto result = run_seed(seed, defect::none, std::getenv("SIM_TRACE") != nullptr);
    all.add(result.count);
    digest = digest * 0x9E3779B97F4A7C15ULL + result.digest;
    CHECK_MESSAGE(result.violated.empty(), "seed ", seed, ": ", result.violated);
  }
  std::string text;
  for (std::size_t i = 0; i < count_end; ++i) {
    text += std::string{" "} + count_names[i] + "=" + std::to_string(all.of[i]);
    if (to - from >= 50)
      CHECK_MESSAGE(all.of[i] > 0, std::string{count_names[i]}, " never happened");
  }
  MESSAGE("seeds=", from, ":", to, " digest=", digest, " events=", all.events,
          " recovery_ms_max=", all.recovery_ms_max, text);
}

TEST_CASE("consensus: one seed is one history") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const auto once = run_seed(seed);
    CHECK(run_seed(seed).digest == once.digest);
    CHECK(run_seed(seed + 1).digest != once.digest);
  }
}

TEST_CASE("consensus: planted defects are found") {
  const char* only = std::getenv("SIM_DEFECT");
  const char* most = std::getenv("SIM_DEFECT_SEEDS");
  const auto last = most ? std::strtoull(most, nullptr, 10) : seeds_for_defects;
  for (std::size_t i = 1; i < defect_names.size() && last != 0; ++i) {
    const std::string name = defect_names[i];
    const bool rare = rarely_found.contains(name);
    if (only ? name != only : rare && !most)
      continue;
    std::string how;
    const auto seed = first_found(static_cast<defect>(i), last, how);
    CHECK_MESSAGE((seed != 0 || rare), name, " is not found");
    MESSAGE(name, ": seed ", seed, ": ", how);
  }
}

}  // namespace holdfast::sim
