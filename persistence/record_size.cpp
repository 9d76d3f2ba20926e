#include "persistence/record_size.hpp"

#include <algorithm>

namespace holdfast {

namespace {

std::size_t texts_of(const std::vector<tool_call>& calls) noexcept {
  std::size_t sum = 0;
  for (const auto& call : calls)
    sum += sizeof(call) + call.arguments.size();
  return sum;
}

std::size_t texts_of(const model_reply& reply) noexcept {
  return reply.text.size() + texts_of(reply.tool_calls);
}

/// The texts without a small limit that a fact may have, under the names that they have.
template <class Fact>
std::size_t texts_of(const Fact& f) noexcept {
  std::size_t sum = 0;
  if constexpr (requires { f.event.data; })
    sum += f.event.data.size();
  if constexpr (requires { f.reply.tool_calls; })
    sum += texts_of(f.reply);
  if constexpr (requires { f.message.tool_calls; })
    sum += f.message.content.size() + texts_of(f.message.tool_calls);
  if constexpr (requires { f.message.outcome; })
    sum += f.message.event.data.size() + f.message.payload.size() +
           f.message.outcome.output.size() + texts_of(f.message.outcome.reply);
  if constexpr (requires { f.routes.size(); })
    sum += f.routes.size() * sizeof(route);
  if constexpr (requires { f.input.size(); })
    sum += f.input.size();
  if constexpr (requires { f.output.size(); })
    sum += f.output.size();
  if constexpr (requires { f.memory.size(); })
    sum += f.memory.size();
  if constexpr (requires { f.content.size(); })
    sum += f.content.size();
  if constexpr (requires { f.text.size(); })
    sum += f.text.size();
  if constexpr (requires { f.options.size(); })
    sum += f.options.size();
  if constexpr (requires { f.subject.size(); })
    sum += f.subject.size();
  return sum;
}

}  // namespace

std::size_t size_of(const turn_record& record) noexcept {
  std::size_t sum = sizeof(record) + record.facts.size() * sizeof(fact);
  for (const auto& f : record.facts)
    sum += std::visit([](const auto& it) { return texts_of(it); }, f);
  return sum;
}

bool is_new_event(const turn_record& record) noexcept {
  return std::any_of(record.facts.begin(), record.facts.end(), [](const fact& f) {
    return std::holds_alternative<event_received>(f) || std::holds_alternative<event_routed>(f);
  });
}

}  // namespace holdfast
