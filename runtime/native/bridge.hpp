#pragma once
// Between the public interface (holdfast/agent.hpp, whose short names would clash with ours) and the core: plain values,
// no name of either.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::native {

/// What a handler is called with.
struct handler_call {
  enum class kind : std::uint8_t { event, outcome, timer, cancel };
  kind what = kind::event;
  std::string agent;   ///< `type/key`
  std::string memory;  ///< JSON text
  std::int64_t now_us = 0;
  std::uint64_t random = 0;
  std::uint32_t effect_next = 1;

  std::string event_id, event_source, event_type, event_subject, event_time, event_data;  // event
  std::uint32_t effect = 0;                                                               // outcome
  std::string tool, result, error;
  int status = 1;
  std::string tag;  // timer

  /// Throws std::invalid_argument unless the definition has this tool and the input fits it.
  std::function<void(std::string_view tool, std::string_view input)> check_tool;
  std::function<void(std::string_view text)> log;
};

/// What it asked for, in its order.
struct request {
  enum class kind : std::uint8_t { call, model, send, ask, sleep, wait_for, emit, complete, fail };
  kind what = kind::complete;
  std::string name;   ///< tool, agent, event type, tag
  std::string body;   ///< JSON text; emit and fail: plain text
  std::string extra;  ///< model: options · send, ask: event type · wait_for: where
  std::int64_t duration_ms = 0;
};
struct handler_result {
  bool memory_changed = false;
  std::string memory;
  std::vector<request> requests;
};

/// Calls the handler of this type. Throws what it threw; std::out_of_range for a type that is not registered.
handler_result call_handler(std::string_view type, const handler_call& call);
bool is_registered(std::string_view type);
std::vector<std::string> registered_types();

}  // namespace holdfast::native
