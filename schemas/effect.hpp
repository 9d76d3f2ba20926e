#pragma once
// Effects: declared work outside the agent, and what came of it (DESIGN §3 "Effects").

#include <cstdint>
#include <string>
#include <vector>

#include "schemas/error.hpp"
#include "schemas/ids.hpp"

namespace holdfast {

/// USD × 10⁻⁹. Money is never a floating point number where it is stored or compared.
using nano_usd = std::int64_t;

enum class effect_kind : std::uint8_t {
  model = 1,    ///< a call to a model provider
  tool = 2,     ///< an HTTP tool
  agent = 3,    ///< an event to another agent, waiting for its answer
  nothing = 4,  ///< does nothing; the `loop` agent's steps
};

/// What a crash between start and outcome means (promise P3).
enum class effect_class : std::uint8_t {
  read = 1,        ///< perform again
  idempotent = 2,  ///< perform again with the same key
  write =
    3,  ///< never again by itself: the outcome is unknown until a probe or a person resolves it
};

enum class effect_phase : std::uint8_t {
  declared = 1,  ///< on disk, not handed to an effect actor yet
  started = 2,   ///< may be under way; owned by `term`
  retrying = 3,  ///< waits for its retry timer
  unknown = 4,   ///< waits in the reconcile inbox
};

enum class outcome_status : std::uint8_t { succeeded = 1, failed = 2, unknown = 3 };

/// Why an attempt failed, as far as the retry rule must know. The transport maps what it met to one of these.
enum class failure_kind : std::uint8_t {
  none = 0,
  not_sent = 1,   ///< failed before the first byte was sent: every class retries
  throttled = 2,  ///< 429: every class retries
  transient =
    3,           ///< 408, 5xx, timeout, reset, garbage: read and idempotent retry, write is unknown
  rejected = 4,  ///< other 4xx, a refused address, a result that cannot be used: final
  cancelled = 5,  ///< the process stopped the call itself
};

struct usage {
  std::uint64_t input_tokens = 0;
  std::uint64_t cached_input_tokens = 0;
  std::uint64_t output_tokens = 0;
  nano_usd cost = 0;
  std::uint64_t model_calls = 0;
  std::uint64_t tool_calls = 0;
  bool operator==(const usage&) const = default;
  usage& operator+=(const usage& other) noexcept {
    input_tokens += other.input_tokens;
    cached_input_tokens += other.cached_input_tokens;
    output_tokens += other.output_tokens;
    cost += other.cost;
    model_calls += other.model_calls;
    tool_calls += other.tool_calls;
    return *this;
  }
};

/// One call that a model asked for. `arguments` is the JSON text as the model wrote it, valid or not.
struct tool_call {
  std::string id;
  std::string name;
  std::string arguments;
  bool operator==(const tool_call&) const = default;
};

enum class message_role : std::uint8_t { system = 1, user = 2, assistant = 3, tool = 4 };

/// One message of a conversation; a record of its own on disk.
struct message {
  message_role role = message_role::user;
  std::string content;
  std::vector<tool_call> tool_calls;  ///< assistant only
  std::string tool_call_id;           ///< tool only
  std::string tool_name;              ///< tool only
  bool operator==(const message&) const = default;
};

/// What a finished model call answered.
struct model_reply {
  std::string text;
  std::vector<tool_call> tool_calls;
  std::string finish_reason;  ///< stop, length, tool_calls, content_filter …
  std::string model;          ///< as the provider names it
  bool operator==(const model_reply&) const = default;
};

/// An error as it is stored and shown: a run's, an attempt's.
struct failure {
  std::string code;     ///< snake_case, `limit_exceeded`, `tool_failed` …
  std::string message;  ///< says what to do; no secret
  std::uint32_t effect_no = 0;
  bool retryable = false;
  bool operator==(const failure&) const = default;
};

/// What an attempt came to, as the effect actor reports it.
struct attempt_outcome {
  outcome_status status = outcome_status::failed;
  failure_kind failure_reason = failure_kind::none;
  failure error;       ///< when not succeeded
  std::string output;  ///< tool: JSON text, or plain text as a JSON string; agent: JSON text
  model_reply reply;   ///< model only
  usage used;          ///< model: tokens and cost
  std::int64_t retry_after_ms = 0;  ///< what the other side asked for; 0 when it did not
  bool operator==(const attempt_outcome&) const = default;
};

std::string_view to_string(effect_class value) noexcept;
std::string_view to_string(effect_kind value) noexcept;
std::string_view to_string(effect_phase value) noexcept;
std::string_view to_string(outcome_status value) noexcept;
std::string_view to_string(message_role value) noexcept;

}  // namespace holdfast
