#pragma once
// The scripted model (INTERFACE §2 "Script"): answers from a file, deterministic, for demos and
// tests. Pure.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/expression.hpp"
#include "runtime/model/provider.hpp"

namespace holdfast::model {

/// What the provider does: stream the chunks, each `chunk_delay_ms` after the one before it (the
/// first at once), then end with the outcome. On success the chunks add up to the reply's text. A
/// failure after chunks is an answer that broke off.
struct scripted_answer {
  std::vector<std::string> chunks;
  std::int64_t chunk_delay_ms = 0;
  answer end;
};

/// A checked and compiled script. Immutable, thread-safe.
class script {
public:
  /// From JSON text (the caller turns YAML into it). Errors `schema`, with the place:
  /// `turns[2].cal: unknown key; did you mean call?`.
  static result<std::shared_ptr<const script>> parse(std::string_view json, const compilers& with);
  ~script();

  /// The first turn whose `when` fits the last message answers. None fits: rejected
  /// `script_no_match`.
  scripted_answer answer_to(const request& asked, const price& at) const;

private:
  struct turn;
  script();
  std::vector<turn> turns_;
};

}  // namespace holdfast::model
