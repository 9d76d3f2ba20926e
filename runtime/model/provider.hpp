#pragma once
// What every model provider is asked and what it costs: the request before it has a wire format,
// prices, estimates. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "schemas/effect.hpp"

namespace holdfast::model {

/// A tool as the model is told of it.
struct tool_signature {
  std::string name;
  std::string description;
  std::string input_schema;  ///< JSON Schema, JSON text
};

/// One model call. `messages` is the window that is sent (conversation.hpp), oldest first.
struct request {
  std::string model;         ///< as the provider names it
  std::string instructions;  ///< system text; empty: none
  std::vector<message> messages;
  std::vector<tool_signature> tools;
  std::optional<double> temperature;
  std::uint32_t output_tokens_max = 1'024;
  std::string output_schema;  ///< JSON Schema of the answer, JSON text; empty: free text
};

/// nano-USD per million tokens.
struct price {
  nano_usd input = 0;
  nano_usd output = 0;
  nano_usd cached_input = 0;
};

/// What an attempt came to. `outcome.used` holds tokens, cost and one model call, never
/// `tool_calls`. A failed attempt has tokens only where the provider reported them.
struct answer {
  attempt_outcome outcome;
  /// The provider did not report tokens: they are estimated from the bytes.
  bool usage_estimated = false;
};

/// The price of these tokens: exact, the sum rounded up to a whole nano-USD. Cached input is part
/// of `input_tokens` and charged at its own price. Too much for the type is the largest value.
nano_usd cost_of(const usage& used, const price& at) noexcept;

/// A token per four bytes of UTF-8, rounded up.
std::uint64_t estimate_tokens(std::uint64_t bytes) noexcept;

/// The whole request: text, calls, tool schemas, and a few tokens of framing per message and tool.
std::uint64_t estimate_input_tokens(const request& asked) noexcept;

/// What a call may cost at most, as far as can be said beforehand: estimated input plus all of the
/// allowed output.
struct reservation {
  std::uint64_t tokens = 0;
  nano_usd cost = 0;
};
reservation estimate_reservation(const request& asked, const price& at) noexcept;

}  // namespace holdfast::model
