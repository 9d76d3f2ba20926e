#include "runtime/model/conversation.hpp"

#include <algorithm>
#include <utility>

#include "runtime/model/provider.hpp"

namespace holdfast::model {

message_size size_of(const message& m) noexcept {
  std::uint64_t bytes = m.content.size();
  for (const auto& call : m.tool_calls)
    bytes += call.name.size() + call.arguments.size() + 16;
  return {m.role, estimate_tokens(bytes) + 4};
}

namespace {

/// Where the group begins that ends before `end`. Behind the latest user message: a message with
/// the tool results that follow it. Before it: a user message with all that was answered, so that
/// what is sent never begins with an answer.
std::size_t group_before(std::span<const message_size> sizes, std::size_t end,
                         std::optional<std::size_t> user) noexcept {
  const bool past = user && end <= *user;
  std::size_t begin = end - 1;
  while (begin > 0 &&
         (past ? sizes[begin].role != message_role::user : sizes[begin].role == message_role::tool))
    --begin;
  return begin;
}

}  // namespace

window choose_window(std::span<const message_size> sizes, std::uint64_t tokens_max) noexcept {
  std::optional<std::size_t> user;
  for (std::size_t i = sizes.size(); i-- > 0 && !user;)
    if (sizes[i].role == message_role::user)
      user = i;

  // The latest user message is always sent, so its tokens are spent from the start.
  window chosen;
  chosen.first = sizes.size();
  chosen.tokens = user ? sizes[*user].tokens : 0;
  while (chosen.first > 0) {
    const std::size_t begin = group_before(sizes, chosen.first, user);
    std::uint64_t group = 0;
    for (std::size_t i = begin; i < chosen.first; ++i)
      if (i != user)
        group += sizes[i].tokens;
    const bool last = chosen.first == sizes.size();
    if (!last && begin != user && tokens_max != 0 && chosen.tokens + group > tokens_max)
      break;
    chosen.tokens += group;
    chosen.first = begin;
  }
  if (user && *user < chosen.first)
    chosen.pinned = user;
  return chosen;
}

std::vector<message> cut_to_window(std::vector<message> messages, std::uint64_t tokens_max) {
  std::vector<message_size> sizes;
  sizes.reserve(messages.size());
  for (const auto& m : messages)
    sizes.push_back(size_of(m));
  const auto chosen = choose_window(sizes, tokens_max);
  std::size_t kept = 0;
  if (chosen.pinned) {
    std::swap(messages[0], messages[*chosen.pinned]);
    kept = 1;
  }
  messages.erase(messages.begin() + static_cast<std::ptrdiff_t>(kept),
                 messages.begin() + static_cast<std::ptrdiff_t>(chosen.first));
  return messages;
}

namespace {

message result_missing(const tool_call& call) {
  message m;
  m.role = message_role::tool;
  m.tool_call_id = call.id;
  m.tool_name = call.name;
  m.content = R"({"error":"this call has no result: the run was ended before it was performed"})";
  return m;
}

}  // namespace

std::vector<message> with_matching_results(std::vector<message> messages) {
  std::vector<message> out;
  out.reserve(messages.size());
  std::vector<tool_call> open;  // of the last assistant message
  const auto close_all = [&] {
    for (const auto& call : open)
      out.push_back(result_missing(call));
    open.clear();
  };
  for (auto& m : messages) {
    if (m.role != message_role::tool) {
      close_all();
      open = m.tool_calls;
      out.push_back(std::move(m));
      continue;
    }
    const auto asked = std::find_if(
      open.begin(), open.end(), [&](const tool_call& call) { return call.id == m.tool_call_id; });
    if (asked == open.end())
      continue;
    open.erase(asked);
    out.push_back(std::move(m));
  }
  close_all();
  return out;
}

}  // namespace holdfast::model
