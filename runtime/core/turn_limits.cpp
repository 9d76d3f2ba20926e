#include "runtime/core/turn_limits.hpp"

#include "schemas/units.hpp"

namespace holdfast {

namespace {

std::size_t texts_of(const attempt_outcome& outcome) noexcept {
  std::size_t sum = outcome.output.size() + outcome.reply.text.size();
  for (const auto& call : outcome.reply.tool_calls)
    sum += call.arguments.size();
  return sum;
}

}  // namespace

std::size_t size_of(const command& what) noexcept {
  if (const auto* event = std::get_if<deliver_event>(&what))
    return event->event.data.size();
  if (const auto* done = std::get_if<complete_effect>(&what))
    return texts_of(done->outcome);
  if (const auto* text = std::get_if<append_text>(&what))
    return text->text.size();
  if (const auto* patch = std::get_if<patch_state>(&what))
    return patch->patch.size();
  if (const auto* fork = std::get_if<adopt_fork>(&what))
    return fork->payload.size();
  return 0;
}

status check_memory(const agent_name& of, std::size_t bytes) {
  if (bytes <= memory_bytes_max)
    return ok_status();
  return error{errc::too_large, "the memory of " + to_string(of) + " would have " +
                                  std::to_string(bytes) + " bytes; it has at most " +
                                  format_size_bytes(memory_bytes_max) +
                                  ": keep large things elsewhere and their address here"};
}

}  // namespace holdfast
