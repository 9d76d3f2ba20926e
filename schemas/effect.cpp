#include "schemas/effect.hpp"

namespace holdfast {

std::string_view to_string(effect_class value) noexcept {
  switch (value) {
    case effect_class::read:
      return "read";
    case effect_class::idempotent:
      return "idempotent";
    case effect_class::write:
      return "write";
  }
  return "write";
}

std::string_view to_string(effect_kind value) noexcept {
  switch (value) {
    case effect_kind::model:
      return "model";
    case effect_kind::tool:
      return "tool";
    case effect_kind::agent:
      return "agent";
    case effect_kind::nothing:
      return "nothing";
  }
  return "tool";
}

std::string_view to_string(effect_phase value) noexcept {
  switch (value) {
    case effect_phase::declared:
      return "declared";
    case effect_phase::started:
      return "started";
    case effect_phase::retrying:
      return "retrying";
    case effect_phase::unknown:
      return "unknown";
  }
  return "unknown";
}

std::string_view to_string(outcome_status value) noexcept {
  switch (value) {
    case outcome_status::succeeded:
      return "succeeded";
    case outcome_status::failed:
      return "failed";
    case outcome_status::unknown:
      return "unknown";
  }
  return "unknown";
}

std::string_view to_string(message_role value) noexcept {
  switch (value) {
    case message_role::system:
      return "system";
    case message_role::user:
      return "user";
    case message_role::assistant:
      return "assistant";
    case message_role::tool:
      return "tool";
  }
  return "user";
}

}  // namespace holdfast
