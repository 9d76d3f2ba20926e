#pragma once
// Native agents: what their handlers ask for becomes facts. Also the two that are built in.

#include <functional>

#include "runtime/core/behaviour.hpp"

namespace holdfast {

/// Calls the handlers that this program registered for the definition's type.
class native_behaviour final : public behaviour {
public:
  using log_function = std::function<void(std::string_view agent, std::string_view text)>;
  explicit native_behaviour(log_function log) : log_(std::move(log)) {}
  void on_trigger(turn_builder& turn, const compiled_agent& spec, const trigger& t) const override;
  bool is_foreign() const noexcept override { return true; }

private:
  log_function log_;
};

/// `echo`: completes with the event's data.
class echo_behaviour final : public behaviour {
public:
  void on_trigger(turn_builder& turn, const compiled_agent& spec, const trigger& t) const override;
  bool is_foreign() const noexcept override { return false; }
};

/// `loop`: `data.steps` effects of class `read` that do nothing, one after the other; completes with `{"steps":N}`.
class loop_behaviour final : public behaviour {
public:
  void on_trigger(turn_builder& turn, const compiled_agent& spec, const trigger& t) const override;
  bool is_foreign() const noexcept override { return false; }
};

/// True for a type that this program can decide for: registered, or built in.
bool has_native(std::string_view type);

}  // namespace holdfast
