#pragma once
// The C++ interface of Holdfast: write an agent type, register it, and the program that links `holdfast::holdfast` and
// calls `holdfast::main` is a node with the same command line as `holdfast` itself.
//
// A handler is called for one thing that happened. What it asks for through `turn` is declared with the turn's commit and
// performed after it; memory is committed with the turn. A handler that throws has its turn discarded, is called again
// with backoff, and after `handler_attempts` its event is a dead letter. Handlers of one agent never run at the same
// time; handlers of different agents do. They must not keep references to their arguments.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace holdfast {
inline namespace api {

using json = nlohmann::json;

/// An event, as it arrived.
class event {
public:
  std::string id;
  std::string source;
  std::string type;
  std::string subject;
  std::string time;  ///< RFC 3339, as sent; may be empty

  /// The data as JSON; null when there is none, a string when it is not JSON. Parsed at the first call.
  const json& data() const;
  /// The bytes as they were sent.
  const std::string& raw() const noexcept { return raw_; }

  event() = default;
  event(std::string event_type, const json& event_data)
    : type(std::move(event_type)), raw_(event_data.dump()) {}
  static event from_raw(std::string bytes);

private:
  std::string raw_;
  mutable std::shared_ptr<const json> parsed_;
};

enum class outcome_kind : std::uint8_t { succeeded = 1, failed = 2, unknown = 3 };

/// What a call, a model call or a question came to.
struct outcome {
  std::uint32_t effect = 0;  ///< the number that `call`, `model` or `ask` returned
  std::string tool;          ///< the tool, the model, or the agent that was asked
  outcome_kind status = outcome_kind::succeeded;
  json result;        ///< when it succeeded; a model's answer is a string
  std::string error;  ///< otherwise
};

/// One turn of an agent: everything a handler may read and ask for. Lives for the handler's call.
class turn {
public:
  /// The agent's memory, a JSON object that is committed with the turn.
  json& memory();

  /// Calls a tool of the definition. The input is checked against its schema: throws std::invalid_argument when it does
  /// not fit, or when there is no such tool.
  std::uint32_t call(std::string tool, json input);
  /// Calls the definition's model with these messages: `[{"role":"user","content":"…"}]`. Options: `instructions`,
  /// `temperature`, `max_output_tokens`.
  std::uint32_t model(json messages, json options = json::object());
  /// Sends an event to another agent (`type/key`) and does not wait.
  void send(std::string_view agent, event what);
  /// Sends an event to another agent and gets the result of the run it sets off in `on_outcome`.
  std::uint32_t ask(std::string_view agent, event what);
  /// `on_timer` is called with the tag after this time, whatever happens to the process meanwhile.
  void sleep(std::chrono::milliseconds duration, std::string tag = {});
  /// The next event of this type that fits the jq `where` (empty: all) goes to this run's `on_event`; after the timeout
  /// (0: never) `on_timer` is called with the tag `wait_for`.
  void wait_for(std::string event_type, std::string where = {},
                std::chrono::milliseconds timeout = {});
  /// Text for those who follow the run.
  void emit(std::string text);
  /// Ends the run.
  void complete(json result);
  void fail(std::string error);

  /// The turn's time: the same for every call in one turn.
  std::chrono::sys_time<std::chrono::microseconds> now() const noexcept;
  /// Random bits, fresh for every call.
  std::uint64_t random() noexcept;
  /// A line in the node's log, with the agent's name.
  void log(std::string_view text) const;
  /// `type/key`.
  const std::string& agent() const noexcept;

  struct impl;
  explicit turn(impl& inside) noexcept : impl_(inside) {}
  turn(const turn&) = delete;
  turn& operator=(const turn&) = delete;

private:
  impl& impl_;
};

/// One agent type. An object is made for every call; state belongs in `turn::memory`.
class agent {
public:
  virtual ~agent() = default;
  virtual void on_event(turn& t, const event& e) = 0;
  virtual void on_outcome(turn& t, const outcome& o);
  virtual void on_timer(turn& t, std::string_view tag);
  virtual void on_cancel(turn& t);
};

/// Makes a type known to this program. Throws std::invalid_argument for a name that is taken or not `[a-z][a-z0-9-]*`.
void register_agent(std::string type, std::function<std::unique_ptr<agent>()> make);

/// Runs the command line of a node: `serve`, `dev`, and all the rest. Returns the exit code.
int main(int argc, char** argv);

namespace detail {
struct registration {
  registration(const char* type, std::function<std::unique_ptr<agent>()> make) {
    register_agent(type, std::move(make));
  }
};
}  // namespace detail

}  // namespace api
}  // namespace holdfast

#define HOLDFAST_AGENT_CONCAT_(a, b) a##b
#define HOLDFAST_AGENT_CONCAT(a, b) HOLDFAST_AGENT_CONCAT_(a, b)
/// Registers `cls` as the agent type `type` before `main`.
#define HOLDFAST_AGENT(type, cls)                                                                  \
  static const ::holdfast::detail::registration HOLDFAST_AGENT_CONCAT(holdfast_agent_, __LINE__) { \
    type, [] { return std::unique_ptr<::holdfast::agent>{new cls}; }                               \
  }
