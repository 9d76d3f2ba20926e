#include "schemas/codec_consensus.hpp"

#include <schemas/cluster.pb.h>

#include <algorithm>

#include "schemas/codec_bytes.hpp"
#include "schemas/codec_wire.hpp"

namespace holdfast::codec {

HOLDFAST_WIRE_ENUM(consensus::role, standby, MemberRole);
HOLDFAST_WIRE_ENUM(consensus::entry_kind, command, LogEntryKind);

/// Without the data, which is a large part.
template <>
struct wire<consensus::entry> {
  using stored = pb::LogEntryHead;
  static void put(const consensus::entry& x, stored& m) {
    HOLDFAST_ASSERT(x.data, "an entry without data");
    put_field(x.term, m, HOLDFAST_WIRE_FIELD(term));
    put_field(x.kind, m, HOLDFAST_WIRE_FIELD(kind));
    m.set_data_bytes(x.data->size());
  }
  static bool take(stored& m, consensus::entry& x, wrong_field& wrong) {
    x.term = m.term();
    if (take_field(m, x.kind, HOLDFAST_WIRE_FIELD(kind), wrong))
      return true;
    wrong = {"LogEntryHead", "kind"};
    return false;
  }
};

HOLDFAST_WIRE(consensus::member, Member, id, address, as);
HOLDFAST_WIRE(consensus::configuration, Configuration, members);
HOLDFAST_WIRE(consensus::hard_state, HardState, term, vote);
HOLDFAST_WIRE(consensus::snapshot_metadata, SnapshotMetadata, index, term, members,
              configuration_index);
HOLDFAST_WIRE(consensus::log_range, LogRange, first, last);
HOLDFAST_WIRE(consensus::append_entries, AppendEntries, term, prev_log_index, prev_log_term,
              leader_commit, clock_ms, entries);
HOLDFAST_WIRE(consensus::append_entries_result, AppendEntriesResult, term, rejected, last_log_index,
              clock_ms);
HOLDFAST_WIRE(consensus::request_vote, RequestVote, term, candidate, last_log_index, last_log_term,
              disrupt_leader, pre_vote);
HOLDFAST_WIRE(consensus::request_vote_result, RequestVoteResult, term, granted, pre_vote);
HOLDFAST_WIRE(consensus::install_snapshot, InstallSnapshot, term, clock_ms, snapshot_id, metadata);
HOLDFAST_WIRE(consensus::timeout_now, TimeoutNow, term, last_log_index, last_log_term);

HOLDFAST_PLACE(RaftMessage, consensus, append_entries, AppendEntries);
HOLDFAST_PLACE(RaftMessage, consensus, append_entries_result, AppendEntriesResult);
HOLDFAST_PLACE(RaftMessage, consensus, request_vote, RequestVote);
HOLDFAST_PLACE(RaftMessage, consensus, request_vote_result, RequestVoteResult);
HOLDFAST_PLACE(RaftMessage, consensus, install_snapshot, InstallSnapshot);
HOLDFAST_PLACE(RaftMessage, consensus, timeout_now, TimeoutNow);

namespace {

/// A frame of as many messages and entries as it may hold is far below.
constexpr std::size_t raft_head_bytes_max = 16U << 20;

error too_much_in_raft_frame() {
  return {errc::corrupt, "a consensus frame with more than it may hold"};
}

/// The next large part, as a string of its own.
bool take_data(std::string_view& large, std::uint64_t size, consensus::entry& x) {
  if (size > large.size())
    return false;
  x.data = std::make_shared<const std::string>(large.substr(0, size));
  large.remove_prefix(size);
  return true;
}

error wrong_data_bytes() {
  return {errc::corrupt, "log entries that do not fit the bytes of their data"};
}

const std::vector<consensus::entry>* entries_of(const consensus::message& body) {
  const auto* m = std::get_if<consensus::append_entries>(&body);
  return m ? &m->entries : nullptr;
}

/// In a frame, rather too many; without the data of entries.
std::size_t head_bytes_of(const consensus::message& body) {
  constexpr std::size_t message_bytes = 80;
  constexpr std::size_t element_bytes = 32;
  if (const auto* entries = entries_of(body))
    return message_bytes + entries->size() * element_bytes;
  std::size_t bytes = message_bytes;
  if (const auto* m = std::get_if<consensus::install_snapshot>(&body))
    for (const auto& member : m->metadata.members.members)
      bytes += element_bytes + member.address.size();
  return bytes;
}

}  // namespace

// ---- stored -------------------------------------------------------------------------------------

std::string encode(const consensus::entry& value) {
  scratch arena;
  auto& head = arena.make<pb::LogEntryHead>();
  wire<consensus::entry>::put(value, head);
  std::string out;
  seal_head(head, value.data->size(), out);
  return out.append(*value.data);
}

std::string encode(const consensus::hard_state& value) { return encode_as_message(value); }

std::string encode(const consensus::snapshot_metadata& value) { return encode_as_message(value); }

std::string encode(const consensus::log_range& value) { return encode_as_message(value); }

result<consensus::entry> decode_log_entry(std::string_view bytes) {
  scratch arena;
  auto& head = arena.make<pb::LogEntryHead>();
  auto large = unseal_head(bytes, head, raft_head_bytes_max);
  if (!large)
    return large.error();
  consensus::entry value;
  wrong_field wrong;
  if (!wire<consensus::entry>::take(head, value, wrong))
    return unknown_content(wrong);
  if (!take_data(*large, head.data_bytes(), value) || !large->empty())
    return wrong_data_bytes();
  return value;
}

result<consensus::hard_state> decode_hard_state(std::string_view bytes) {
  return decode_as_message<consensus::hard_state>(bytes);
}

result<consensus::snapshot_metadata> decode_snapshot_metadata(std::string_view bytes) {
  return decode_as_message<consensus::snapshot_metadata>(bytes);
}

result<consensus::log_range> decode_log_range(std::string_view bytes) {
  return decode_as_message<consensus::log_range>(bytes);
}

// ---- sent ---------------------------------------------------------------------------------------

std::size_t count_for_raft_frame(std::span<const group_message> messages, std::size_t bytes_max) {
  std::size_t count = 0;
  std::size_t bytes = 0;
  std::size_t entries = 0;
  for (const auto& m : messages.first(std::min(messages.size(), raft_frame_messages_max))) {
    bytes += head_bytes_of(m.body);
    if (const auto* added = entries_of(m.body)) {
      entries += added->size();
      for (const auto& e : *added)
        bytes += e.data->size();
    }
    if (count > 0 && (bytes > bytes_max || entries > raft_frame_entries_max))
      break;
    ++count;
  }
  return count;
}

void append_raft_frame(std::span<const group_message> messages, std::string& out) {
  scratch arena;
  auto& head = arena.make<pb::RaftFrameHead>();
  HOLDFAST_ASSERT(messages.size() <= raft_frame_messages_max, "too many messages for a frame");
  head.mutable_messages()->Reserve(static_cast<int>(messages.size()));
  std::size_t count = 0;
  std::size_t bytes = 0;
  for (const auto& m : messages) {
    auto& added = *head.add_messages();
    added.set_group(m.group);
    put_kind(m.body, added);
    if (const auto* entries = entries_of(m.body)) {
      count += entries->size();
      for (const auto& e : *entries)
        bytes += e.data->size();
    }
  }
  HOLDFAST_ASSERT(count <= raft_frame_entries_max, "too many entries for a frame");
  HOLDFAST_ASSERT(head.ByteSizeLong() <= raft_head_bytes_max, "a consensus frame's head");
  seal_head(head, bytes, out);
  for (const auto& m : messages)
    if (const auto* entries = entries_of(m.body))
      for (const auto& e : *entries)
        out.append(*e.data);
}

std::string encode_raft_frame(std::span<const group_message> messages) {
  std::string out;
  append_raft_frame(messages, out);
  return out;
}

result<std::vector<group_message>> decode_raft_frame(std::string_view bytes) {
  scratch arena;
  auto& head = arena.make<pb::RaftFrameHead>();
  auto large = unseal_head(bytes, head, raft_head_bytes_max);
  if (!large)
    return large.error();
  if (static_cast<std::size_t>(head.messages_size()) > raft_frame_messages_max)
    return too_much_in_raft_frame();
  std::size_t count = 0;
  for (const auto& m : head.messages())
    count += static_cast<std::size_t>(m.append_entries().entries_size());
  if (count > raft_frame_entries_max)
    return too_much_in_raft_frame();
  std::vector<group_message> out(static_cast<std::size_t>(head.messages_size()));
  for (std::size_t i = 0; i < out.size(); ++i) {
    auto& m = *head.mutable_messages(static_cast<int>(i));
    wrong_field wrong{"RaftMessage", "kind"};
    if (m.group() > std::numeric_limits<group_id>::max())
      return unknown_content({"RaftMessage", "group"});
    out[i].group = static_cast<group_id>(m.group());
    if (!take_kind<2>(m, out[i].body, wrong))
      return unknown_content(wrong);
    auto* taken = std::get_if<consensus::append_entries>(&out[i].body);
    for (std::size_t at = 0; taken && at < taken->entries.size(); ++at)
      if (!take_data(*large, m.append_entries().entries(static_cast<int>(at)).data_bytes(),
                     taken->entries[at]))
        return wrong_data_bytes();
  }
  if (!large->empty())
    return wrong_data_bytes();
  return out;
}

}  // namespace holdfast::codec
