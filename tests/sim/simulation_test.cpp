#include <doctest/doctest.h>

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>

#include "tests/sim/simulation.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#include <sanitizer/common_interface_defs.h>
#endif

using namespace holdfast;
using namespace holdfast::sim;

namespace {

constexpr std::uint64_t commands_min = 500;     ///< of one seed
constexpr std::uint64_t all_seen_from = 1'000;  ///< seeds: so many see every fact and every fault
constexpr int failures_max = 10;

struct seed_range {
  std::uint64_t from = 1;
  std::uint64_t to = seeds_default;
};

/// `SIM_SEEDS=from:to`, both included; one number is one seed.
seed_range seeds_asked_for() {
  seed_range range;
  if (const char* asked = std::getenv("SIM_SEEDS")) {
    char* end = nullptr;
    range.from = std::strtoull(asked, &end, 10);
    range.to = *end == ':' ? std::strtoull(end + 1, nullptr, 10) : range.from;
  }
  return range;
}

char seed_line[80];  // of the seed that runs now
void say_seed(int = 0) { (void)!write(STDERR_FILENO, seed_line, std::strlen(seed_line)); }

/// While it lives, what ends the process (a broken invariant, a sanitizer) says the seed first.
class seed_sayer {
public:
  seed_sayer() : before_(std::signal(SIGABRT, say_seed)) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    __sanitizer_set_death_callback([] { say_seed(); });
#endif
  }
  ~seed_sayer() {
    seed_line[0] = 0;
    std::signal(SIGABRT, before_);
  }
  seed_sayer(const seed_sayer&) = delete;
  seed_sayer& operator=(const seed_sayer&) = delete;
  void runs(std::uint64_t seed) {
    std::snprintf(seed_line, sizeof seed_line, "\nseed %llu: ended the process\n",
                  static_cast<unsigned long long>(seed));
  }

private:
  void (*before_)(int);
};

template <std::size_t N, class Name>
void say_counts(const char* what, const std::array<std::uint64_t, N>& counts, Name name) {
  std::string line = what;
  for (std::size_t i = 0; i < N; ++i)
    if (const std::string_view text = name(i); !text.empty())
      line.append(" ").append(text).append("=").append(std::to_string(counts[i]));
  MESSAGE(line);
}

}  // namespace

TEST_CASE("sim: no seed breaks a promise") {
  const auto range = seeds_asked_for();
  coverage seen;
  std::uint64_t digest = 0;
  std::uint64_t commands_least = UINT64_MAX;
  int failures = 0;
  seed_sayer says;
  for (auto seed = range.from; seed <= range.to && failures < failures_max; ++seed) {
    says.runs(seed);
    plan_of_seed plan;
    plan.seed = seed;
    plan.trace = std::getenv("SIM_TRACE") != nullptr;
    const auto commands_before = seen.commands;
    try {
      simulation world{plan, seen};
      world.run();
      digest = digest * 31 + world.digest();
    } catch (const std::exception& found) {
      ++failures;
      FAIL_CHECK("seed ", seed, ": ", std::string{found.what()}, " (SIM_SEEDS=", seed,
                 " runs it again, SIM_TRACE=1 tells all)");
      continue;
    }
    commands_least = std::min(commands_least, seen.commands - commands_before);
    CHECK_MESSAGE(seen.commands - commands_before >= commands_min, "seed ", seed, " does little");
  }
  const auto seeds = range.to - range.from + 1;
  MESSAGE(seeds, " seeds: ", seen.steps, " steps, ", seen.records, " records, ", seen.commands,
          " commands (", commands_least, " at least), ", seen.agents, " agents, ", seen.runs,
          " runs, ", seen.cuts, " backups; digest ", digest);
  CHECK_MESSAGE(seen.cuts >= seeds, "hardly any backup was taken");
  const auto fact_name = [](std::size_t i) { return holdfast::name_of(fact_at_index(i)); };
  say_counts("facts:", seen.facts, fact_name);
  say_counts("faults:", seen.faults, [](std::size_t i) { return name_of(static_cast<fault>(i)); });
  if (seeds < all_seen_from || failures != 0)
    return;
  // Nothing is restored here: tests/unit/runtime_core/restore_test.cpp.
  const std::set<std::string_view> of_restores{"restored", "group_restored", "restore_finished"};
  for (std::size_t i = 0; i < seen.facts.size(); ++i)
    CHECK_MESSAGE((of_restores.contains(fact_name(i)) || seen.facts[i] != 0), fact_name(i),
                  " never happened");
  for (std::size_t i = 0; i < fault_count; ++i)
    CHECK_MESSAGE(seen.faults[i] != 0, name_of(static_cast<fault>(i)), " never happened");
  for (std::size_t i = 0; i < request_kind_count; ++i)
    CHECK_MESSAGE(seen.requests[i] != 0, "no request of kind ", i);
  for (std::size_t i = 1; i < seen.verbs.size(); ++i)
    CHECK_MESSAGE(seen.verbs[i] != 0, "nobody asked for ", to_string(static_cast<control_verb>(i)));
}

TEST_CASE("sim: a seed does the same every time") {
  for (std::uint64_t seed : {3, 17, 42}) {
    std::uint64_t digests[2];
    for (auto& digest : digests) {
      coverage seen;
      simulation world{{seed, 500, defect::none, false}, seen};
      world.run();
      digest = world.digest();
    }
    CHECK(digests[0] == digests[1]);
  }
}
