#pragma once
// One turn in the making: a scratch copy of the agent that every decided fact is taken into at once, so that the next
// decision sees it. Nothing of it counts until the record commits.

#include <functional>
#include <memory>
#include <vector>

#include "runtime/core/catalog.hpp"
#include "runtime/core/evolve.hpp"
#include "runtime/core/records.hpp"
#include "schemas/command.hpp"

namespace holdfast {

class behaviour;

/// Prices in nano-USD per million tokens.
struct call_price {
  nano_usd input = 0;
  nano_usd cached_input = 0;
  nano_usd output = 0;
};

/// Everything that a decision takes from outside the agent; handed in, so that a decision is a function.
struct turn_context {
  time_us now = 0;
  std::uint64_t term = 0;
  group_id group = 0;
  std::uint16_t partitions = partitions_default;
  bool careful =
    false;  ///< a handler of this agent took a process down: make its trigger durable before it runs
  std::uint64_t random = 0;  ///< fresh for every turn
  std::shared_ptr<const catalog> definitions;
  std::function<const behaviour*(const compiled_agent&)>
    behaviour_of;  ///< null: no such native type in this binary
  std::function<call_price(std::string_view model)> price_of;
  /// Compiles a `where` that came from native code; null: none can.
  std::function<result<std::shared_ptr<const expression>>(std::string_view program)> jq;
  /// Native code is about to run for this run, and has come back: an unclean end between the two counts an attempt.
  std::function<void(const agent_name&, const run_id&)> handler_enters;
  std::function<void()> handler_leaves;
};

/// A run that ended in a turn, as those who wait for it are told once the turn is committed.
struct ended_run {
  run_summary summary;
  std::string output;  ///< JSON text, when completed
  failure error;       ///< otherwise
};

class turn_builder {
public:
  turn_builder(agent_state state, const turn_context& context, const agent_records& records);

  const agent_state& state() const noexcept { return state_; }
  const turn_context& context() const noexcept { return context_; }
  time_us now() const noexcept { return now_; }

  /// Decides one more fact.
  void add(fact f);

  /// What has been decided so far. `mark` and `rewind` bracket code that may have to be undone.
  const std::vector<fact>& facts() const noexcept { return facts_; }
  struct checkpoint {
    agent_state state;
    std::size_t facts;
    std::size_t ended;
  };
  checkpoint mark() const { return {state_, facts_.size(), ended_.size()}; }
  void rewind(checkpoint to);

  // Reads that also see the facts of this turn.
  result<fact> fact_at(seq_no seq) const;
  result<mailbox_entry> mailbox(std::uint64_t number) const;
  result<std::string> memory() const;  ///< `{}` when there is none

  /// Sets a durable timer and returns its id.
  std::uint64_t set_timer(timer_kind kind, time_us due, std::string tag,
                          std::uint32_t effect_no = 0);

  /// The definition that the open run is pinned to; null when it is not there any more.
  std::shared_ptr<const compiled_agent> definition() const;

  /// True while the agent may start something: neither paused nor quarantined, and no cancel is under way.
  bool may_start() const noexcept;

  /// The term to declare an effect under: the present one, or 0 (declared, started later) while held.
  std::uint64_t start_term() const noexcept;

  /// A number that differs for every call within the turn.
  std::uint64_t next_random() noexcept;

  /// The runs that this turn ends.
  const std::vector<ended_run>& ended() const noexcept { return ended_; }
  /// The effects that this turn hands out: to be performed once it is committed, by the same rule in normal running and
  /// after a restart.
  std::vector<effect_state> starts() const;

  /// Hands the facts over, with the position of the first.
  turn_record take(std::uint64_t catalog_index);

private:
  agent_state state_;
  const turn_context& context_;
  const agent_records& records_;
  time_us now_;
  seq_no base_seq_;
  std::uint64_t random_;
  std::vector<fact> facts_;
  std::vector<ended_run> ended_;

  void note_end(const fact& f);
};

}  // namespace holdfast
