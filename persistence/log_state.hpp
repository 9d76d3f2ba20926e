#pragma once
// What a commit log keeps of a group, under keys::log_state, in the same write as what it describes.

#include <cstdint>
#include <string>
#include <string_view>

#include "persistence/store.hpp"
#include "schemas/ids.hpp"

namespace holdfast {

struct log_state {
  std::uint64_t term = 0;  ///< local log: its own · replicated log: the applied entry's
  std::uint64_t applied = 0;  ///< index of the last entry that is applied
  bool operator==(const log_state&) const = default;
};

/// A format version (1 byte), term and index (8 bytes each, big-endian).
std::string encode(const log_state& value);
/// Errors: `corrupt`.
result<log_state> decode_log_state(std::string_view bytes);

/// Zeroes for a group that has none yet. Errors: `corrupt`, `io_failure`.
result<log_state> read_log_state(const reader& from, group_id group);
void put_log_state(group_id group, const log_state& value, write_set& out);

}  // namespace holdfast
