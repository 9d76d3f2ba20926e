#pragma once
// The loop of an LLM agent as data: ask the model, call the tools it wants, tell it what they said, until it answers
// (DESIGN §3). A crash resumes it by loading state; nothing is replayed.

#include "runtime/core/behaviour.hpp"

namespace holdfast {

class llm_loop : public behaviour {
public:
  void on_trigger(turn_builder& turn, const compiled_agent& spec, const trigger& t) const override;
  void note_outcome(turn_builder& turn, const trigger& t) const override;
  bool is_foreign() const noexcept override { return false; }
};

}  // namespace holdfast
