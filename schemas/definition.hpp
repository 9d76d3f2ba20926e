#pragma once
// Definitions as users write them (INTERFACE §2), checked and with defaults filled in. Plain data: what is compiled
// from them (jq, JSON Schema) lives beside them in `runtime/core/catalog.hpp`.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "schemas/effect.hpp"

namespace holdfast {

enum class behaviour_kind : std::uint8_t { llm = 1, native = 2, remote = 3 };
enum class busy_policy : std::uint8_t { queue = 1, merge = 2, interrupt = 3, reject = 4 };
enum class memory_scope : std::uint8_t { agent = 1, run = 2 };
enum class compaction : std::uint8_t { truncate = 1, summarize = 2 };

struct retry_policy {
  std::uint32_t attempts = 5;       ///< in all
  std::int64_t backoff_ms = 1'000;  ///< before attempt 2; doubles, with jitter
  std::int64_t backoff_ms_max = 30'000;
  bool operator==(const retry_policy&) const = default;
};

/// An HTTP tool. `{name}` in `url` takes a path input; `${secret:NAME}` in headers takes a secret when the call is made.
struct http_call {
  std::string method = "GET";
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string
    body;  ///< jq over the input; empty: what is not in the path goes into the query or a JSON body
  std::int64_t timeout_ms = 30'000;
  bool operator==(const http_call&) const = default;
};

/// Another agent as a tool.
struct agent_call {
  std::string type;
  bool operator==(const agent_call&) const = default;
};

struct tool_definition {
  std::string name;
  std::string description;
  std::string input_schema = "{\"type\":\"object\"}";  ///< JSON Schema, JSON text
  std::variant<http_call, agent_call> target;
  effect_class cls = effect_class::write;
  retry_policy retry;
  bool operator==(const tool_definition&) const = default;
};

struct trigger_definition {
  std::string event;  ///< exact type, or `prefix.*`
  std::string where;  ///< jq; empty: always
  std::string key;    ///< jq; empty: a new key per event
  bool operator==(const trigger_definition&) const = default;
};

/// 0 means no limit.
struct limits_definition {
  std::uint32_t steps = 50;
  std::uint64_t tokens = 0;
  nano_usd cost = 0;
  std::int64_t wall_ms = 0;
  std::uint32_t mailbox = 1'000;
  bool operator==(const limits_definition&) const = default;
};

struct memory_definition {
  memory_scope scope = memory_scope::agent;
  std::uint64_t window_tokens = 24'000;
  compaction compact = compaction::truncate;
  bool operator==(const memory_definition&) const = default;
};

struct agent_definition {
  std::string type;
  std::uint32_t version = 0;  ///< given when applied
  std::string description;
  behaviour_kind behaviour = behaviour_kind::llm;
  std::vector<std::string> models;
  std::optional<double> temperature;
  std::uint32_t output_tokens_max = 1'024;
  std::string instructions;
  std::string input = ".data";  ///< jq
  std::string output_schema;    ///< JSON Schema, JSON text; empty: none
  std::vector<tool_definition> tools;
  std::vector<trigger_definition> triggers;
  busy_policy busy = busy_policy::queue;
  limits_definition limits;
  memory_definition memory;
  std::vector<std::string> egress_allow;
  std::uint32_t handler_attempts =
    5;  ///< native: after so many failures of one event it is a dead letter
  bool operator==(const agent_definition&) const = default;
};

struct hmac_definition {
  std::string header = "X-Signature";
  std::string algorithm = "sha256";
  std::string encoding = "hex";  ///< hex, base64
  std::string prefix;
  std::string content_template = "{body}";  ///< `template`: {timestamp} and {body}
  std::string timestamp_header;             ///< empty: no timestamp is checked
  std::int64_t tolerance_ms = 300'000;
  bool operator==(const hmac_definition&) const = default;
};

enum class hook_preset : std::uint8_t { none = 1, hmac = 2 };

struct hook_definition {
  std::string source;
  std::uint32_t version = 0;
  hook_preset preset = hook_preset::none;
  std::vector<std::string> secrets;  ///< names, without `${secret:}`
  std::string type;                  ///< jq over the body; empty: SOURCE.received
  std::string id;                    ///< jq over the body; empty: the digest of the body
  hmac_definition hmac;
  bool operator==(const hook_definition&) const = default;
};

using definition = std::variant<agent_definition, hook_definition>;

}  // namespace holdfast
