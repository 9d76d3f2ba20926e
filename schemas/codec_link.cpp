#include "schemas/codec_link.hpp"

#include <schemas/cluster.pb.h>

#include "schemas/codec_bytes.hpp"
#include "schemas/codec_values.hpp"

namespace holdfast::codec {

template <>
struct wire<std::pair<std::string, std::string>> {
  using header = std::pair<std::string, std::string>;
  using stored = pb::HttpHeader;
  static void put(const header& x, stored& m) {
    put_field(x.first, m, HOLDFAST_WIRE_FIELD(name));
    put_field(x.second, m, HOLDFAST_WIRE_FIELD(value));
  }
  static bool take(stored& m, header& x, wrong_field& wrong) {
    return take_field(m, x.first, HOLDFAST_WIRE_FIELD(name), wrong) &&
           take_field(m, x.second, HOLDFAST_WIRE_FIELD(value), wrong);
  }
};

template <>
struct wire<link::raft_traffic> {
  static void put(const link::raft_traffic&, pb::RaftTraffic&) {}
  static bool take(pb::RaftTraffic&, link::raft_traffic&, wrong_field&) { return true; }
};

HOLDFAST_WIRE(link::outbox_delivery, OutboxDelivery, source_group, target_group, sequence, message,
              epoch, restored);
HOLDFAST_WIRE(link::outbox_receipt, OutboxReceipt, source_group, target_group, sequence, taken,
              epoch);
HOLDFAST_WIRE(link::http_request, HttpRequest, number, target, method, headers, principal);
HOLDFAST_WIRE(link::http_head, HttpHead, number, status, headers);
HOLDFAST_WIRE(link::http_chunk, HttpChunk, number, end);
HOLDFAST_WIRE(link::http_cancel, HttpCancel, number);
HOLDFAST_WIRE(link::http_credit, HttpCredit, number, bytes);
HOLDFAST_WIRE(link::snapshot_request, SnapshotRequest, snapshot_id, group, position);
HOLDFAST_WIRE(link::snapshot_chunk, SnapshotChunk, snapshot_id, group, position, next_position,
              last, missing);
HOLDFAST_WIRE(link::group_leader, GroupLeader, group, node, term);
HOLDFAST_WIRE(link::group_applied, GroupApplied, group, index);
HOLDFAST_WIRE(link::known_member, KnownMember, name, address);
HOLDFAST_WIRE(link::node_status, NodeStatus, node, version, at, leaders, applied, draining,
              cordoned, definitions, members, roles, feature_level);

HOLDFAST_WIRE(link::cut_request, CutRequest, group, epoch);

HOLDFAST_PLACE(LinkHead, link, raft_traffic, RaftTraffic);
HOLDFAST_PLACE(LinkHead, link, outbox_delivery, OutboxDelivery);
HOLDFAST_PLACE(LinkHead, link, outbox_receipt, OutboxReceipt);
HOLDFAST_PLACE(LinkHead, link, http_request, HttpRequest);
HOLDFAST_PLACE(LinkHead, link, http_head, HttpHead);
HOLDFAST_PLACE(LinkHead, link, http_chunk, HttpChunk);
HOLDFAST_PLACE(LinkHead, link, http_cancel, HttpCancel);
HOLDFAST_PLACE(LinkHead, link, http_credit, HttpCredit);
HOLDFAST_PLACE(LinkHead, link, snapshot_request, SnapshotRequest);
HOLDFAST_PLACE(LinkHead, link, snapshot_chunk, SnapshotChunk);
HOLDFAST_PLACE(LinkHead, link, node_status, NodeStatus);
HOLDFAST_PLACE(LinkHead, link, cut_request, CutRequest);

namespace {

/// The member that is not in the head.
struct large_part {
  template <class Frame>
  auto* operator()(Frame& x) const {
    if constexpr (requires { x.body; })
      return &x.body;
    else if constexpr (requires { x.bytes.data(); })
      return &x.bytes;
    else
      return static_cast<
        std::conditional_t<std::is_const_v<Frame>, const std::string, std::string>*>(nullptr);
  }
};

}  // namespace

std::string encode(const link_frame& value) {
  const std::string* large = std::visit(large_part{}, value);
  scratch arena;
  auto& head = arena.make<pb::LinkHead>();
  put_kind(value, head);
  std::string out;
  seal_head(head, large ? large->size() : 0, out);
  if (large)
    out.append(*large);
  return out;
}

std::string encode_raft_link_frame(std::span<const group_message> messages) {
  auto out = encode(link_frame{link::raft_traffic{}});
  append_raft_frame(messages, out);
  return out;
}

result<link_frame> decode_link_frame(std::string_view bytes) {
  scratch arena;
  auto& head = arena.make<pb::LinkHead>();
  auto large = unseal_head(bytes, head, bytes.size());
  if (!large)
    return large.error();
  link_frame out;
  wrong_field wrong{"LinkHead", "kind"};
  if (!take_kind<1>(head, out, wrong))
    return unknown_content(wrong);
  if (std::string* into = std::visit(large_part{}, out))
    into->assign(*large);
  else if (!large->empty())
    return error{errc::corrupt, "bytes behind a frame of the node link"};
  return out;
}

}  // namespace holdfast::codec
