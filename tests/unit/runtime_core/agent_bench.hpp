#pragma once
// One agent on a bench: its core, definitions made by hand, its records in memory, a clock that the test turns.

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/core/agent_core.hpp"
#include "runtime/core/llm_loop.hpp"
#include "runtime/core/run_steps.hpp"
#include "runtime/core/wake_cause.hpp"

namespace holdfast::testing {

/// An expression that is a C++ function.
class fake_expression final : public expression {
public:
  using function = std::function<result<std::string>(std::string_view)>;
  explicit fake_expression(function f) : f_(std::move(f)) {}
  result<std::string> evaluate(std::string_view json) const override { return f_(json); }

private:
  function f_;
};
std::shared_ptr<const expression> giving(std::string json);
std::shared_ptr<const expression> failing(std::string why);
/// jq `.data.NAME` for a string member.
std::shared_ptr<const expression> data_member(std::string name);

/// Accepts what contains a text.
class fake_validator final : public json_validator {
public:
  explicit fake_validator(std::string must) : must_(std::move(must)) {}
  status validate(std::string_view json) const override {
    if (json.find(must_) == std::string_view::npos)
      return error{errc::schema, "/: expected " + must_};
    return ok_status();
  }

private:
  std::string must_;
};

/// A behaviour that is a C++ function; foreign ones may throw.
class fake_behaviour final : public behaviour {
public:
  using function = std::function<void(turn_builder&, const compiled_agent&, const trigger&)>;
  explicit fake_behaviour(bool foreign) : foreign_(foreign) {}
  void on_trigger(turn_builder& turn, const compiled_agent& spec, const trigger& t) const override {
    seen.push_back(t);
    if (call)
      call(turn, spec, t);
  }
  bool is_foreign() const noexcept override { return foreign_; }

  function call;
  mutable std::vector<trigger> seen;

private:
  bool foreign_;
};

/// A tool that calls an HTTP address which is never called.
tool_definition tool(std::string name, effect_class cls, retry_policy retry = {});
compiled_agent llm_agent(std::string type);
compiled_agent native_agent(std::string type);
void add_tool(compiled_agent& to, tool_definition def, std::string input_must = {});

event event_of(std::string type, std::string data = R"({"n":1})");
model_reply says(std::string text);
model_reply calls(std::vector<tool_call> asked);
attempt_outcome succeeded(model_reply reply, std::uint64_t input_tokens = 10,
                          std::uint64_t output_tokens = 5, nano_usd cost = 100);
attempt_outcome succeeded(std::string output = R"({"ok":true})");
attempt_outcome failed(failure_kind kind, std::string text = "it broke");

class agent_bench {
public:
  static constexpr time_us t0 = 1'800'000'000'000'000;

  explicit agent_bench(compiled_agent spec, std::string key = "k1");

  /// Decides the commands in one turn and commits it. The turn is kept in `last`.
  const decided_turn& turn(std::vector<command> commands);
  const decided_turn& turn(command one) { return turn(std::vector<command>{std::move(one)}); }
  /// Decides, and lets the test say what became of it.
  decided_turn propose(std::vector<command> commands);
  void commit(const decided_turn& turn);

  /// An event without ids: the agent gives them. Returns the run.
  run_id deliver(event e = event_of("go"));
  void outcome(const effect_state& of, attempt_outcome what) {
    turn(complete_effect{of.run, of.no, of.attempt, std::move(what)});
  }
  void model_says(model_reply reply) { outcome(only_effect(), succeeded(std::move(reply))); }
  void control_by(control_verb verb, std::string reason = "because") {
    turn(control{verb, "ann", std::move(reason), {}, false});
  }
  void resolve(const effect_state& of, resolution how, std::string output = {}) {
    turn(resolve_effect{{of.run, of.no}, how, std::move(output), "", "ann"});
  }
  /// Sets the clock to the timer and fires it.
  void fire(const timer_state& timer);
  void fire_only(timer_kind kind) { fire(only_timer(kind)); }
  /// A new term, and the command that begins it.
  void restart(std::uint64_t term) {
    context.term = term;
    turn(recover{});
  }

  const agent_state& state() const { return core.state(); }
  /// The open effect, of which there is one.
  effect_state only_effect() const;
  effect_state effect_named(const std::string& name) const;
  timer_state only_timer(timer_kind kind) const;
  std::vector<wake_kind> causes() const;

  /// All facts of this kind, in their order.
  template <class T>
  std::vector<T> all() const {
    std::vector<T> out;
    for (const auto& [seq, f] : journal)
      if (const auto* one = std::get_if<T>(&f))
        out.push_back(*one);
    return out;
  }
  template <class T>
  T last_of() const {
    auto found = all<T>();
    REQUIRE_MESSAGE(!found.empty(), "no such fact");
    return found.back();
  }
  template <class T>
  std::size_t count() const {
    return all<T>().size();
  }
  /// Names of the facts of the last turn.
  std::vector<std::string> last_names() const;
  /// The error that the last turn's only command was refused with; `ok` when it was not.
  errc refusal() const;
  /// What the conversation holds, a line per message: `user: text`.
  std::vector<std::string> conversation() const;

  /// Changes the definition: a new version, or the present one.
  void define(compiled_agent spec);

  turn_context context;
  std::map<seq_no, fact> journal;
  std::map<std::uint64_t, mailbox_entry> mailbox;
  llm_loop llm;
  fake_behaviour native{true};
  fake_behaviour own{false};  ///< for definitions of behaviour `remote`
  bool has_behaviour = true;
  agent_core core;
  decided_turn last;

private:
  class records;
  std::shared_ptr<records> records_;
};

}  // namespace holdfast::testing
