#pragma once
// Which part of a conversation a model call sends. Pure.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "schemas/effect.hpp"

namespace holdfast::model {

/// What choosing needs to know of a message.
struct message_size {
  message_role role = message_role::user;
  std::uint64_t tokens = 0;
};
message_size size_of(const message& m) noexcept;

/// What to send: message `pinned`, if there is one, then messages [first, size).
struct window {
  std::optional<std::size_t> pinned;  ///< the latest user message, when it lies before `first`
  std::size_t first = 0;
  std::uint64_t tokens = 0;  ///< of all that is sent; over the limit when nothing can be left out
};

/// The longest suffix within `tokens_max` (0: no limit). An assistant message and the tool results
/// behind it go together, and so does an older user message with everything that was answered to
/// it. The latest user message and the last such group are always sent, whatever they cost; so when
/// a run's own steps fill the window, the oldest of them are left out and its question stays.
window choose_window(std::span<const message_size> sizes, std::uint64_t tokens_max) noexcept;

/// Applies `choose_window`.
std::vector<message> cut_to_window(std::vector<message> messages, std::uint64_t tokens_max);

/// Providers refuse a call without its result and a result without its call. Adds a result that
/// says so for calls that were never closed (the run was cancelled), drops results that nobody
/// asked for and repeated ones.
std::vector<message> with_matching_results(std::vector<message> messages);

}  // namespace holdfast::model
