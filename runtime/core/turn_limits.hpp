#pragma once
// How much one turn may hold. A turn is one record in one entry of the log, which goes over the node link in one piece
// (`consensus::entry_bytes_max`): what it decides on, what a handler asks for, and the memory that it leaves behind.

#include <cstddef>

#include "schemas/command.hpp"
#include "schemas/consensus.hpp"
#include "schemas/error.hpp"

namespace holdfast {

inline constexpr std::size_t turn_bytes_max = 4U
                                              << 20;  ///< of commands; a single one may be larger
inline constexpr std::size_t asked_bytes_max = 16U << 20;  ///< of texts, by one call of a handler
inline constexpr std::size_t memory_bytes_max = 8U << 20;  ///< of one agent, as JSON text
inline constexpr std::size_t fork_bytes_max = 16U << 20;   ///< of the copy: memory and conversation
inline constexpr std::size_t request_bytes_max = 16U
                                                 << 20;  ///< what `http.body_max` may be raised to
static_assert(turn_bytes_max + request_bytes_max + asked_bytes_max + memory_bytes_max <
              consensus::entry_bytes_max);

/// Its texts; the rest is small.
std::size_t size_of(const command& what) noexcept;

/// Errors: `too_large`.
status check_memory(const agent_name& of, std::size_t bytes);

}  // namespace holdfast
