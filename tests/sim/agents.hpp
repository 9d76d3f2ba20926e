#pragma once
// The agents of the simulation: definitions made by hand, and behaviours that do what their events
// say.

#include <functional>
#include <memory>
#include <string>

#include "runtime/core/behaviour.hpp"
#include "runtime/core/llm_loop.hpp"
#include "runtime/native/native_behaviour.hpp"
#include "tests/sim/basics.hpp"

namespace holdfast::sim {

/// All types, with this many versions of `llm`.
///
///   echo, loop   built in
///   llm          tools of every class and another agent as a tool; limits on everything
///   strict       llm with an output schema, memory per run, `busy: reject`, a wall limit, a small
///                budget
///   helper       llm that others ask
///   plan         native: does what the plan in its event says
///   fragile      plan whose handler throws now and then
///   bomb         plan whose handler takes the process down
std::shared_ptr<const catalog> make_catalog(std::uint32_t llm_versions);

/// nano-USD per million tokens, the same everywhere.
call_price price_of(std::string_view model);
/// Compiles `yes`, `no`, `fails`.
result<std::shared_ptr<const expression>> compile_where(std::string_view program);

/// What the handlers of `plan` agents ask of the simulation.
struct handler_world {
  std::function<bool()> throws;  ///< asked by `fragile`
  bool exploded = false;         ///< set by `bomb`: the process is to die now
};

/// A native agent whose event brings its plan: stages with `;` between them, one for each trigger,
/// of operations with `,` between them:
///
///   r i w  a tool that reads, is idempotent, writes      m  the model        A  asks a plan agent
///   h      the tool that is another agent                S  sends to echo    e  emits text
///   Q      asks a strict agent, which may be busy
///   z<ms>  sleeps      W<ms>  waits for an event `wake` (0: for ever)
///   n<ms>  waits for one that never fits
///   c f    completes, fails      x  does nothing      k  when cancelled, compensates first
///
/// Behind the last stage it completes. Its memory lists the runs whose event it has seen.
class plan_behaviour final : public behaviour {
public:
  explicit plan_behaviour(handler_world& world) : world_(world) {}
  void on_trigger(turn_builder& turn, const compiled_agent& spec, const trigger& t) const override;
  bool is_foreign() const noexcept override { return true; }

private:
  handler_world& world_;
};

/// A plan of a few stages.
std::string make_plan(random_source& random, bool may_fail);

class behaviours {
public:
  explicit behaviours(handler_world& world) : plan_(world) {}
  const behaviour* of(const compiled_agent& spec) const;

private:
  llm_loop llm_;
  echo_behaviour echo_;
  loop_behaviour loop_;
  plan_behaviour plan_;
};

}  // namespace holdfast::sim
