#pragma once
// The whole state of one group as one sequence of rows (family, key, value) in a fixed order, cut into chunks. Replicas
// with the same applied index have the same sequence, whatever their logs and files look like.
//
// A chunk, big-endian: format (1 byte), flags (1), group (2), length of position (4), position, rows, XXH3-64 of all
// that (8). A row: family (1), length of key (4), length of value (4), key, value. A position: the digest of all rows
// in front of it (16), the family (1) and key of the last of them; empty at the beginning. The digest: zeroes, and after
// each row XXH3-128 of (digest before, XXH3-128 of the row).

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "persistence/keys.hpp"
#include "persistence/store.hpp"

namespace holdfast {

/// Keys [lower, upper) of a family.
struct family_range {
  family in = family::meta;
  keys::range keys;
};

/// All that is state of the group, in the order of the sequence: every family but the log, and of meta what
/// keys::state_in_meta says.
std::vector<family_range> state_ranges(group_id group);

struct group_chunk {
  std::string bytes;  ///< as sent
  std::string next;   ///< position behind it; opaque
  bool last = false;
};

inline constexpr std::size_t chunk_bytes_default = 512U << 10;

/// The rows from this position on that fit into `bytes_max`, at least one if there is one. All chunks of an export come
/// from one snapshot, or from several that hold the same. Pure. Errors: `malformed` (the position), of the reader.
result<group_chunk> export_chunk(const reader& from, group_id group, std::string_view position = {},
                                 std::size_t bytes_max = chunk_bytes_default);

/// The digest of the whole sequence: for comparing replicas. Errors: of the reader.
result<digest128> state_hash(const reader& from, group_id group);

/// What a position says.
struct export_position {
  digest128 digest;  ///< of the rows in front of it
  bool started = false;
  family in = family::meta;  ///< of the last row in front of it
  std::string key;
};
std::string encode(const export_position& position);
/// Errors: `malformed`.
result<export_position> decode_position(std::string_view bytes);
/// Moves behind the row, which is in the form it has in a chunk.
void move_behind(export_position& position, family in, std::string_view key,
                 std::string_view encoded_row);

struct chunk_row {
  family in = family::meta;
  std::string_view key;
  std::string_view value;
  std::string_view encoded;  ///< all of it
};
/// Views into the chunk.
struct chunk_view {
  group_id group = 0;
  std::string_view from;  ///< position in front of it
  bool last = false;
  std::vector<chunk_row> rows;
};
/// Errors: `corrupt` (damaged, or written by a newer version).
result<chunk_view> read_chunk(std::string_view bytes);

}  // namespace holdfast
