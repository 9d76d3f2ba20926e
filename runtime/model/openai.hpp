#pragma once
// OpenAI Chat Completions (https://platform.openai.com/docs/api-reference/chat, facts/protocols.md
// §b) and what calls itself compatible. Pure: bytes in, bytes out. Nothing that the other side
// sends is trusted.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/model/bounded_json.hpp"
#include "runtime/model/provider.hpp"
#include "runtime/model/surrogates.hpp"
#include "runtime/net/http_message.hpp"
#include "runtime/net/sse_parser.hpp"
#include "schemas/ids.hpp"

namespace holdfast::model {

/// Where servers differ.
struct openai_dialect {
  /// `max_completion_tokens` instead of `max_tokens`: OpenAI's newer models refuse the old name,
  /// others know only that.
  bool new_output_limit = false;
  bool stream_usage = true;  ///< send `stream_options.include_usage`
};

/// The new names for api.openai.com and Azure, the old ones for everybody else.
openai_dialect openai_dialect_for(std::string_view base_url);

/// `https://…/v1` → `https://…/v1/chat/completions`.
std::string openai_chat_url(std::string_view base_url);

/// The body of `POST /chat/completions`, always with `stream`. The same request gives the same
/// bytes. Calls and results are matched first (`with_matching_results`). Error `schema`: a tool's
/// or the output's schema is not JSON.
result<std::string> encode_openai_chat(const request& asked, const openai_dialect& dialect);

/// Bounds on one answer. Beyond: the attempt is rejected.
struct reply_limits {
  std::size_t text_bytes_max = 1 << 20;
  std::size_t calls_max = 128;
  std::size_t arguments_bytes_max = 256 << 10;      ///< of one call
  std::size_t arguments_bytes_total_max = 4 << 20;  ///< of all calls
  std::size_t body_bytes_max = 256 << 20;           ///< of the stream with its framing
  std::size_t json_bytes_max = 16 << 20;  ///< of an answer that is not a stream, or one event of it
};

/// Decodes the body of a 2xx answer: an event stream, or one JSON document from a server that
/// ignores `stream`. Bytes may be cut anywhere. Not thread-safe; one per attempt.
class openai_answer {
public:
  using text_sink = std::function<void(std::string_view)>;

  /// `input_tokens_estimate` and `at` are for the usage of the outcome.
  openai_answer(std::uint64_t input_tokens_estimate, price at, reply_limits limits = {});

  /// Takes a piece of the body. Calls `on_text` with what it adds to the answer's text: whole
  /// characters, never empty.
  void feed(std::string_view bytes, const text_sink& on_text);

  /// Nothing more is needed: `[DONE]` was seen, or the answer is broken. The caller may close the
  /// connection.
  bool is_ended() const noexcept { return done_ || broken_.has_value(); }

  /// Ends the answer. `complete`: the HTTP body ended as it should (or `is_ended()`); else `detail`
  /// says what happened. An answer whose `finish_reason` was seen counts as finished either way.
  /// Without one: cut off, transient. On success `on_text` may be called once more, and the pieces
  /// add up to `reply.text`.
  answer finish(bool complete, const text_sink& on_text, std::string_view detail = {});

private:
  struct partial_call {
    std::int64_t index = 0;
    tool_call call;
    surrogate_joiner arguments;
  };
  void take_event(const net::sse_event& event, const text_sink& on_text);
  void take_document(const json& document, const text_sink& on_text);
  void take_choice(const json& choice, const text_sink& on_text);
  void take_text(std::string_view piece, const text_sink& on_text);
  void take_call(const json& delta, std::int64_t position);
  partial_call* call_for(const json& delta, std::int64_t position);
  void take_usage(const json& reported);
  void take_error(const json& error);
  void fail(failure_kind kind, std::string code, std::string text);
  model_reply take_reply(const text_sink& on_text);

  std::uint64_t input_tokens_estimate_;
  price price_;
  reply_limits limits_;
  net::sse_parser events_;
  enum class shape : std::uint8_t { unknown, events, document } shape_ = shape::unknown;
  std::string document_;  // when it is no stream
  std::size_t body_bytes_ = 0;
  bool flushing_ = false;  // the last event has no end: what does not parse was cut off
  bool done_ = false;
  bool choice_seen_ = false;
  std::optional<attempt_outcome> broken_;
  std::string text_;
  surrogate_joiner text_pieces_;
  std::vector<partial_call> calls_;
  std::size_t arguments_bytes_ = 0;
  std::string finish_reason_;
  std::string model_;
  std::optional<usage> usage_;
};

/// The outcome of an answer that is not 2xx. Obeys `x-should-retry`; else 408, 409 and 5xx are
/// transient, 429 throttled (but for a used-up quota), the rest rejected. The provider's message is
/// shown: bounded, on one line, without anything that looks like a key or is in `secrets`.
attempt_outcome openai_http_failure(unsigned status, const net::header_list& headers,
                                    std::string_view body, time_us now,
                                    std::span<const std::string> secrets = {});

}  // namespace holdfast::model
