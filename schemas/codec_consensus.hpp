#pragma once
// The bytes of the replicated log: what is stored of a group, and its messages between nodes. See
// codec.hpp for what holds of all bytes. Decoding errors: `corrupt`.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/consensus.hpp"
#include "schemas/ids.hpp"

namespace holdfast::codec {

// ---- stored -------------------------------------------------------------------------------------

std::string encode(const consensus::entry& value);
std::string encode(const consensus::hard_state& value);
std::string encode(const consensus::snapshot_metadata& value);
std::string encode(const consensus::log_range& value);

result<consensus::entry> decode_log_entry(std::string_view bytes);
result<consensus::hard_state> decode_hard_state(std::string_view bytes);
result<consensus::snapshot_metadata> decode_snapshot_metadata(std::string_view bytes);
result<consensus::log_range> decode_log_range(std::string_view bytes);

// ---- sent ---------------------------------------------------------------------------------------

/// Of one group, to one peer or from it.
struct group_message {
  group_id group = 0;
  consensus::message body;
};

/// What one frame may hold; a frame with more is `corrupt`, and encoding it a broken invariant.
inline constexpr std::size_t raft_frame_messages_max = 4096;
inline constexpr std::size_t raft_frame_entries_max = 65'536;

/// How many of the messages, from the first on, go into one frame of about `bytes_max`: at least
/// one, unless there is none, and no more than a frame may hold.
std::size_t count_for_raft_frame(std::span<const group_message> messages, std::size_t bytes_max);

/// The data of entries is copied once.
std::string encode_raft_frame(std::span<const group_message> messages);
/// The same, behind what is in `out`.
void append_raft_frame(std::span<const group_message> messages, std::string& out);
/// Each entry's data is a string of its own, copied once, and never null.
result<std::vector<group_message>> decode_raft_frame(std::string_view bytes);

}  // namespace holdfast::codec
