#include "runtime/model/provider.hpp"

#include <algorithm>
#include <limits>

namespace holdfast::model {

namespace {

__extension__ using uint128 = unsigned __int128;

constexpr std::uint64_t framing_tokens = 4;  // of a message or tool: role, separators

uint128 priced(std::uint64_t tokens, nano_usd per_million) noexcept {
  return per_million <= 0 ? 0
                          : static_cast<uint128>(tokens) * static_cast<std::uint64_t>(per_million);
}

}  // namespace

nano_usd cost_of(const usage& used, const price& at) noexcept {
  const std::uint64_t cached = std::min(used.cached_input_tokens, used.input_tokens);
  // Each product is below 2^127, their sum may not be: divide before adding, and keep the
  // remainders.
  const uint128 parts[] = {priced(used.input_tokens - cached, at.input),
                           priced(cached, at.cached_input), priced(used.output_tokens, at.output)};
  uint128 whole = 0;
  uint128 rest = 0;
  for (const auto part : parts) {
    whole += part / 1'000'000;
    rest += part % 1'000'000;
  }
  whole += (rest + 999'999) / 1'000'000;
  constexpr auto most = std::numeric_limits<nano_usd>::max();
  return whole > static_cast<uint128>(most) ? most : static_cast<nano_usd>(whole);
}

std::uint64_t estimate_tokens(std::uint64_t bytes) noexcept {
  return bytes / 4 + (bytes % 4 != 0 ? 1 : 0);
}

std::uint64_t estimate_input_tokens(const request& asked) noexcept {
  std::uint64_t tokens = framing_tokens + estimate_tokens(asked.instructions.size()) +
                         estimate_tokens(asked.output_schema.size());
  for (const auto& m : asked.messages) {
    std::uint64_t bytes = m.content.size();
    for (const auto& call : m.tool_calls)
      bytes += call.name.size() + call.arguments.size();
    tokens += framing_tokens * (1 + m.tool_calls.size()) + estimate_tokens(bytes);
  }
  for (const auto& tool : asked.tools)
    tokens += framing_tokens + estimate_tokens(tool.name.size() + tool.description.size() +
                                               tool.input_schema.size());
  return tokens;
}

reservation estimate_reservation(const request& asked, const price& at) noexcept {
  usage most;
  most.input_tokens = estimate_input_tokens(asked);
  most.output_tokens = asked.output_tokens_max;
  // Nothing promises that the cache will hit; a cache price above the normal one (a write) is not
  // modelled.
  return {most.input_tokens + most.output_tokens, cost_of(most, at)};
}

}  // namespace holdfast::model
