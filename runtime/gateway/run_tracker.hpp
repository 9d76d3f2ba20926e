#pragma once
// Which run and which effect a fact belongs to: most facts do not say it themselves. Fed in order,
// from the `run_started` of the first run that is asked about. Pure.

#include <cstdint>
#include <map>
#include <string>

#include "schemas/fact.hpp"

namespace holdfast {

struct tracked_effect {
  run_id run;
  effect_kind kind = effect_kind::tool;
  effect_class cls = effect_class::write;
  std::string name;  ///< tool or model
  std::uint32_t step = 0;
  digest128 request_digest;
  std::uint32_t attempt = 0;
};

class run_tracker {
public:
  /// Takes the next fact. Ask about it after this.
  void take(const fact& f);
  /// The record is over: facts that follow belong to no run until the next starts.
  void end_record();

  /// The run that the fact belongs to; empty: to none, or it is not known.
  run_id run_of(const fact& f) const;
  /// The run that is open, or ended in this record.
  const run_id& open_run() const noexcept { return run_; }
  const tracked_effect* effect(std::uint32_t no) const noexcept;

private:
  run_id run_;
  bool ended_ = false;
  std::map<std::uint32_t, tracked_effect> effects_;
};

/// The effect that a fact is about; 0: none.
std::uint32_t effect_no_of(const fact& f) noexcept;

}  // namespace holdfast
