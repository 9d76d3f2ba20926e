#pragma once
// The world outside: what calls do to it, and what it bills. It remembers by idempotency key, as a
// good sink does, and finds out when something is done that must not be.

#include <unordered_map>

#include "persistence/store.hpp"
#include "runtime/core/catalog.hpp"
#include "schemas/command.hpp"
#include "schemas/state.hpp"
#include "tests/sim/history.hpp"

namespace holdfast::sim {

/// An attempt under way, from the shard that started it.
struct effect_call {
  agent_name agent;
  effect_state effect;
  enum class stage : std::uint8_t { unsent, sent, after } at = stage::unsent;
  time_us not_before = 0;
  bool performs = false;  ///< it takes effect, whatever is reported
  bool performed = false;
  bool answers_twice = false;
  std::optional<attempt_outcome> late;  ///< reported after the first outcome
  attempt_outcome outcome;
  usage cost;          ///< of a model call, when it takes effect
  unsigned texts = 0;  ///< pieces of text before the outcome
};

class outside {
public:
  outside(random_source& random, const history& past, coverage& seen)
    : random_(random), past_(past), seen_(seen) {}

  /// How many attempts in a thousand meet something else than success.
  unsigned trouble = 250;

  /// Sends the call, as `declared` asked for it: decides what will come of it.
  void send(effect_call& call, const fact& declared, time_us now);
  /// It takes effect outside, if it does.
  void perform(effect_call& call, const catalog& definitions);
  /// When all runs are over: each knows what it cost, and what succeeded was performed.
  void check() const;

private:
  void decide_tool(effect_call& call);
  void decide_model(effect_call& call);
  void decide_trouble(effect_call& call, time_us now);
  model_reply make_reply(const agent_name& agent);

  struct remembered {
    std::string name;
    digest128 digest;
    unsigned performed = 0;
  };
  struct billed {
    std::uint64_t tokens = 0;
    nano_usd cost = 0;
  };

  random_source& random_;
  const history& past_;
  coverage& seen_;
  std::unordered_map<std::string, remembered> sinks_;  // by idempotency key
  std::unordered_map<run_id, billed> bills_;
  std::uint64_t calls_made_ = 0;
};

}  // namespace holdfast::sim
