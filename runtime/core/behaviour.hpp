#pragma once
// What decides for an agent within its run: `llm`, `native`, `remote`. Called with the run's bookkeeping done; adds
// facts to the turn. May throw only what a native handler threw (`decide` discards and counts it).

#include "runtime/core/turn_builder.hpp"

namespace holdfast {

/// What an effect came to, as a behaviour sees it.
struct closed_effect {
  std::uint32_t no = 0;
  effect_kind kind = effect_kind::tool;
  std::string name;
  std::string call_id;
  outcome_status status = outcome_status::succeeded;
  std::string output;  ///< JSON text when succeeded
  failure error;
};

/// What moves a run on. One of them, and the fact that it stands in.
struct trigger {
  enum class kind : std::uint8_t { start, outcome, timer, awaited, awaited_timeout, cancel, retry };
  kind what = kind::start;
  seq_no seq = 0;
  event arrived;         ///< start, awaited, retry
  closed_effect effect;  ///< outcome
  std::string tag;       ///< timer
};

class behaviour {
public:
  virtual ~behaviour() = default;
  virtual void on_trigger(turn_builder& turn, const compiled_agent& spec,
                          const trigger& t) const = 0;
  /// An outcome of a run that is being cancelled, or is over and may be retried: written down where the retry will look
  /// for it. Starts nothing, and throws nothing.
  virtual void note_outcome(turn_builder&, const trigger&) const {}
  /// True when `on_trigger` runs foreign code that may throw or take the process down.
  virtual bool is_foreign() const noexcept = 0;
};

}  // namespace holdfast
