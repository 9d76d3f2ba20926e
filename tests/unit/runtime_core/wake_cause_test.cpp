#include "tests/unit/runtime_core/agent_bench.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

agent_state with_run() {
  agent_state state;
  state.name = {"t", "a b/ü"};
  state.run.emplace();
  state.run->id = run_id{make_id(1, 2, 3, 4)};
  return state;
}

effect_state effect_in(const agent_state& state, effect_phase phase) {
  effect_state effect;
  effect.run = state.run->id;
  effect.no = 1;
  effect.name = "pay";
  effect.phase = phase;
  effect.attempt = 1;
  return effect;
}

}  // namespace

TEST_CASE("why: an idle agent has no cause, a run without any is stuck") {
  agent_state state;
  state.name = {"t", "k"};
  CHECK(wake_causes(state).empty());
  CHECK(is_idle(state));
  CHECK_FALSE(is_stuck(state));
  state = with_run();
  CHECK(wake_causes(state).empty());
  CHECK(is_stuck(state));
  CHECK_FALSE(is_idle(state));
}

TEST_CASE("why: a call under way names its attempt, a waiting one the command that hurries it") {
  auto state = with_run();
  state.effects.push_back(effect_in(state, effect_phase::started));
  auto causes = wake_causes(state);
  REQUIRE(causes.size() == 1);
  CHECK(causes[0].kind == wake_kind::effect);
  CHECK(causes[0].detail == "tool call pay (effect 1) is under way, attempt 1");
  CHECK(causes[0].command == "holdfast agent cancel t/a b/ü");
  CHECK(causes[0].method == "POST");
  CHECK(causes[0].path == "/v1/agents/t/a%20b%2F%C3%BC/cancel");
  CHECK_FALSE(is_stuck(state));
  CHECK(is_ready(state));

  state.effects[0].phase = effect_phase::retrying;
  CHECK(wake_causes(state).empty());  // nothing will wake it
  CHECK(is_stuck(state));
  state.effects[0].timer_id = 3;
  state.timers.push_back({3, timer_kind::retry, 77, "", state.run->id, 1});
  causes = wake_causes(state);
  REQUIRE(causes.size() == 1);
  CHECK(causes[0].kind == wake_kind::retry);
  CHECK(causes[0].until == 77);
  CHECK(causes[0].path.ends_with("/retry"));
  CHECK_FALSE(is_stuck(state));
  CHECK_FALSE(is_ready(state));
}

TEST_CASE("why: a declared call is a cause unless the agent is held, and then the hold is") {
  auto state = with_run();
  state.effects.push_back(effect_in(state, effect_phase::declared));
  REQUIRE(wake_causes(state).size() == 1);
  CHECK(wake_causes(state)[0].detail.ends_with("is about to start"));
  state.paused = hold{"ann", "lunch", 5};
  REQUIRE(wake_causes(state).size() == 1);
  CHECK(wake_causes(state)[0].kind == wake_kind::paused);
}

TEST_CASE("why: a wall limit alone is no reason to wait") {
  auto state = with_run();
  state.timers.push_back({1, timer_kind::wall, 5, "", state.run->id, 0});
  CHECK(wake_causes(state).empty());
  CHECK(is_stuck(state));
}

TEST_CASE("why: only the run's own timers and effects keep it from being stuck") {
  auto state = with_run();
  auto other = effect_in(state, effect_phase::unknown);
  other.run = run_id{make_id(9, 9, 9, 9)};
  state.effects.push_back(other);
  CHECK(is_stuck(state));
  CHECK(wake_causes(state).size() == 1);
}

TEST_CASE("why: a person's turn comes first") {
  auto state = with_run();
  auto started = effect_in(state, effect_phase::started);
  started.no = 2;
  state.effects = {started, effect_in(state, effect_phase::unknown)};
  state.paused = hold{"ann", "lunch", 5};
  std::vector<wake_kind> kinds;
  for (const auto& cause : wake_causes(state))
    kinds.push_back(cause.kind);
  CHECK(kinds == std::vector{wake_kind::paused, wake_kind::reconcile, wake_kind::effect});
}

TEST_CASE("why: events that wait are a cause of an agent that has no other") {
  agent_state state;
  state.name = {"t", "k"};
  state.mailbox_next = 4;
  REQUIRE(wake_causes(state).size() == 1);
  CHECK(wake_causes(state)[0].kind == wake_kind::mailbox);
  CHECK(wake_causes(state)[0].detail == "3 events wait to be started");
  CHECK(is_ready(state));
  CHECK(has_more_to_start(state));
  state.quarantined = hold{"policy", "x", 1};
  CHECK(wake_causes(state).size() == 1);
  CHECK_FALSE(has_more_to_start(state));
}

TEST_CASE("why: of a quarantined run that nothing would move, cancelling is what helps") {
  auto state = with_run();
  state.quarantined = hold{"holdfast", "stuck", 1};
  REQUIRE(wake_causes(state).size() == 1);
  CHECK(wake_causes(state)[0].command == "holdfast agent cancel " + to_string(state.name));
  state.effects.push_back(effect_in(state, effect_phase::declared));
  CHECK(wake_causes(state)[0].command == "holdfast agent resume " + to_string(state.name));
}

TEST_CASE("why: every kind has a name of its own") {
  std::vector<std::string_view> names;
  for (int kind = 1; kind <= 13; ++kind)
    names.push_back(to_string(static_cast<wake_kind>(kind)));
  std::sort(names.begin(), names.end());
  CHECK(std::adjacent_find(names.begin(), names.end()) == names.end());
}

TEST_CASE("status: an agent that only a person, another agent or time will move is waiting") {
  auto state = with_run();
  CHECK(status_of(state) == agent_status::waiting);
  state.effects.push_back(effect_in(state, effect_phase::started));
  CHECK(status_of(state) == agent_status::running);
  state.effects[0].kind = effect_kind::agent;
  CHECK(status_of(state) == agent_status::waiting);
  state.paused = hold{};
  CHECK(status_of(state) == agent_status::paused);
  state.quarantined = hold{};
  CHECK(status_of(state) == agent_status::quarantined);
}
