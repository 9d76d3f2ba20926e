#pragma once
// The bytes of what travels on a node link. See codec.hpp for what holds of all bytes.

#include <span>
#include <string>
#include <string_view>

#include "schemas/codec_consensus.hpp"
#include "schemas/link.hpp"

namespace holdfast::codec {

/// Bodies, chunks and raft traffic are copied once.
std::string encode(const link_frame& value);
/// The bytes of a `link::raft_traffic` frame with these messages, whose entries are copied once.
std::string encode_raft_link_frame(std::span<const group_message> messages);
/// The large part is copied once. Errors: `corrupt`; the link is to be closed.
result<link_frame> decode_link_frame(std::string_view bytes);

}  // namespace holdfast::codec
