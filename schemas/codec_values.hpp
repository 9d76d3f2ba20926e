#pragma once
// How the values that facts and states share are stored. For the files of the codec only.

#include <bit>
#include <cstring>

#include "schemas/codec_wire.hpp"

namespace holdfast::codec {

static_assert(std::endian::native == std::endian::little);

/// 16 bytes as two big-endian numbers.
template <class T, class Message>
struct wire_halves {
  using stored = Message;
  static void put(const T& x, stored& m) {
    std::uint64_t halves[2];
    std::memcpy(halves, bytes_of(x), sizeof halves);
    m.set_high(__builtin_bswap64(halves[0]));
    m.set_low(__builtin_bswap64(halves[1]));
  }
  static bool take(const stored& m, T& x, wrong_field&) {
    const std::uint64_t halves[2] = {__builtin_bswap64(m.high()), __builtin_bswap64(m.low())};
    std::memcpy(bytes_of(x), halves, sizeof halves);
    return true;
  }

private:
  template <class X>
  static auto bytes_of(X& x) {
    if constexpr (requires { x.id; })
      return x.id.bytes.data();
    else
      return x.bytes.data();
  }
};
template <class Tag>
struct wire<strong_id<Tag>> : wire_halves<strong_id<Tag>, pb::Id> {};
template <>
struct wire<digest128> : wire_halves<digest128, pb::Digest> {};

template <class Tag>
inline constexpr bool may_be_absent<strong_id<Tag>> = true;
template <>
inline constexpr bool may_be_absent<digest128> = true;
template <>
inline constexpr bool may_be_absent<agent_name> = true;
template <>
inline constexpr bool may_be_absent<event> = true;
template <>
inline constexpr bool may_be_absent<usage> = true;
template <>
inline constexpr bool may_be_absent<model_reply> = true;
template <>
inline constexpr bool may_be_absent<failure> = true;

HOLDFAST_WIRE(agent_name, AgentName, type, key);
HOLDFAST_WIRE(event, Event, id, source, type, subject, time, content_type, data, traceparent);
HOLDFAST_WIRE(usage, Usage, input_tokens, cached_input_tokens, output_tokens, cost, model_calls,
              tool_calls);
HOLDFAST_WIRE(tool_call, ToolCall, id, name, arguments);
HOLDFAST_WIRE(message, Message, role, content, tool_calls, tool_call_id, tool_name);
HOLDFAST_WIRE(model_reply, ModelReply, text, tool_calls, finish_reason, model);
HOLDFAST_WIRE(failure, Failure, code, message, effect_no, retryable);
HOLDFAST_WIRE(attempt_outcome, AttemptOutcome, status, failure_reason, error, output, reply, used,
              retry_after_ms);
HOLDFAST_WIRE(reply_address, ReplyAddress, agent, run, effect_no);
HOLDFAST_WIRE(cancel_requested, CancelRequested, run, by, reason);
HOLDFAST_WIRE(outbox_message, OutboxMessage, kind, source, target, event, event_ref, run, verified,
              reply_to, outcome, fork_at, payload);

}  // namespace holdfast::codec
