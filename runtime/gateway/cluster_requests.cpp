// The cluster: what there is, and what a node is told to do. A call for one node is answered by that node.

#include "runtime/gateway/requests.hpp"

#include <algorithm>

#include "persistence/log_state.hpp"
#include "runtime/gateway/documents.hpp"

namespace holdfast {

namespace {

constexpr std::int64_t drain_ms_usual = 30'000;
constexpr std::int64_t rebalance_ms_max = 5'000;
constexpr std::int64_t look_again_ms = 100;

/// A node that is alone leads what there is. Errors: of the reader.
result<cluster_view> view_alone(backend& node) {
  const auto now = node.status();
  cluster_view out;
  out.name = now.cluster;
  for (std::uint32_t group = 0; group <= node.partitions(); ++group) {
    const auto known = read_log_state(node.records(), static_cast<group_id>(group));
    if (!known)
      return known.error();
    out.partitions.push_back(
      {static_cast<group_id>(group), now.node, known->term, {{now.node, known->applied, 0}}});
  }
  const auto groups = static_cast<std::uint32_t>(out.partitions.size());
  out.nodes.push_back({now.node, now.address, now.draining ? "draining" : "up", now.version, groups,
                       groups, "member"});
  return out;
}

result<cluster_view> view_of(backend& node) {
  if (auto known = node.cluster())
    return std::move(*known);
  return view_alone(node);
}

const cluster_node_view* find_node(const cluster_view& view, std::string_view id) {
  const auto found = std::find_if(view.nodes.begin(), view.nodes.end(),
                                  [&](const auto& one) { return one.id == id; });
  return found == view.nodes.end() ? nullptr : &*found;
}

/// Sees what there is on the thread for slow things, then answers with it.
template <class Answer>
void with_view(const call& c, Answer answer) {
  c.at().offload([reply = c.reply, answer = std::move(answer)] {
    const auto view = view_of(reply.at().node);
    if (!view)
      return reply.refuse(view.error());
    answer(reply, *view);
  });
}

/// The id in the path. Errors: `not_found`.
result<std::string> node_in_path(const call& c) {
  auto id = c.parameter(0);
  if (id && (*id == c.node().status().node || c.node().is_peer(*id)))
    return std::move(*id);
  return error{errc::not_found,
               "no node `" + id.value_or("") + "`; `holdfast node list` shows those there are"};
}

/// Others lead every partition: the cluster can do without the node.
bool leads_nothing(const cluster_view& view, std::string_view id) {
  return std::none_of(view.partitions.begin(), view.partitions.end(),
                      [&](const auto& one) { return one.leader.empty() || one.leader == id; });
}

enum class told : std::uint8_t { nothing, drain };

/// The node as it is now, and what came of what it was told.
std::string told_document(const cluster_view& view, const cluster_node_view& node, told what) {
  std::string out;
  json_writer json{out};
  begin_node(json, node, view);
  if (what == told::drain) {
    json.field("drained", leads_nothing(view, node.id));
    json.field("can_stop", can_decide_without(view, node.id, absence::stopped));
  }
  if (node.state == "cordoned")
    json.field("note", "it leads nothing until it is uncordoned or restarted");
  json.end_object();
  return out;
}

void answer_told(const answering& reply, const std::string& id, told what) {
  const auto view = view_of(reply.at().node);
  if (!view)
    return reply.refuse(view.error());
  if (const auto* node = find_node(*view, id))
    return reply.document(told_document(*view, *node, what));
  reply.refuse(error{errc::not_found, "no node `" + id + "` any more"});
}

/// Asks again and again whether it is done, until it is, or the time is over, or the process ends.
template <class Done, class Answer>
void watch(const answering& reply, std::int64_t until_ms, Done done, Answer answer) {
  auto& at = reply.at();
  const auto now_ms = at.opts.steady_ms();
  const auto view = at.node.cluster();
  if (!view || done(*view) || now_ms >= until_ms || at.node.status().draining)
    return answer(reply);
  at.waits.add(now_ms + look_again_ms, [=] { watch(reply, until_ms, done, answer); });
}

/// Into the audit log first, on the thread for slow things then: what a node gives away may be the group of that log, and
/// an entry that is under way when its leader leaves can be lost.
template <class Act>
void once_audited(const answering& reply, Act act) {
  const auto view = reply.at().node.cluster();
  const auto note = reply.note();
  if (!note || !view || view->nodes.size() < 2)
    return act();  // refused, with its entry
  reply.audited();
  reply.at().node.audit(*note, [reply, act = std::move(act)](const answer& told) {
    if (std::holds_alternative<error>(told))
      reply.at().audits_failed.fetch_add(1, std::memory_order_relaxed);
    reply.at().offload(act);
  });
}

void set_cordoned(call&& c, bool cordoned) {
  const auto id = node_in_path(c);
  if (!id)
    return c.reply.refuse(id.error());
  if (const auto refused = check_reason(c))
    return c.reply.refuse(*refused);
  once_audited(c.reply, [reply = c.reply, id = *id, cordoned] {
    if (const auto done = reply.at().node.set_cordoned(cordoned); !done)
      return reply.refuse(done.error());
    answer_told(reply, id, told::nothing);
  });
}

/// Who can lead leads as much as others do, within one; nothing is without a leader.
bool is_balanced(const cluster_view& view) {
  std::uint32_t least = UINT32_MAX;
  std::uint32_t most = 0;
  for (const auto& node : view.nodes) {
    if (!owns_partitions(node.roles) && node.leaders == 0)
      continue;
    if (node.state == "up" && node.membership == "member" && owns_partitions(node.roles)) {
      least = std::min(least, node.leaders);
      most = std::max(most, node.leaders);
    } else if (node.state != "up" && node.leaders != 0) {
      return false;
    }
  }
  return most <= least + 1 && std::none_of(view.partitions.begin(), view.partitions.end(),
                                           [](const auto& one) { return one.leader.empty(); });
}

void answer_rebalanced(const answering& reply) {
  const auto view = view_of(reply.at().node);
  if (!view)
    return reply.refuse(view.error());
  std::string out;
  json_writer json{out};
  json.begin_object().field("kind", "rebalance").field("balanced", is_balanced(*view));
  json.key("nodes").begin_array();
  for (const auto& node : view->nodes)
    write_node(json, node);
  json.end_array().end_object();
  reply.document(std::move(out));
}

}  // namespace

std::optional<refusal> check_reason(const call& c) {
  if (c.request.body.empty())
    return std::nullopt;
  if (auto checked = check_body(c.request.body, c.at().opts.body); !checked)
    return refusal{checked.error(), {}};
  member_reader members{c.request.body, {"reason"}};
  members.text("reason");
  return members.good() ? std::nullopt : std::optional{members.refused()};
}

void get_cluster(call&& c) {
  with_view(c, [](const answering& reply, const cluster_view& view) {
    reply.document(cluster_document(view));
  });
}

void list_nodes(call&& c) {
  with_view(c, [](const answering& reply, const cluster_view& view) {
    list_writer list;
    for (const auto& node : view.nodes) {
      auto& json = list.item();
      begin_node(json, node, view);
      json.end_object();
    }
    reply.document(list.finish({}));
  });
}

void get_node(call&& c) {
  const auto id = node_in_path(c);
  if (!id)
    return c.reply.refuse(id.error());
  with_view(c, [id = *id](const answering& reply, const cluster_view& view) {
    std::string out;
    json_writer json{out};
    const auto* node = find_node(view, id);
    if (node == nullptr)
      return reply.refuse(error{errc::not_found, "no node `" + id + "` any more"});
    begin_node(json, *node, view);
    json.end_object();
    reply.document(std::move(out));
  });
}

void cordon_node(call&& c) { set_cordoned(std::move(c), true); }

void uncordon_node(call&& c) { set_cordoned(std::move(c), false); }

void drain_node(call&& c) {
  const auto id = node_in_path(c);
  if (!id)
    return c.reply.refuse(id.error());
  const auto wait_ms = c.wait_ms();
  if (!wait_ms)
    return c.reply.refuse(wait_ms.error());
  if (const auto refused = check_reason(c))
    return c.reply.refuse(*refused);
  const auto until = c.at().opts.steady_ms() + (*wait_ms == 0 ? drain_ms_usual : *wait_ms);
  once_audited(c.reply, [reply = c.reply, id = *id, until] {
    if (const auto done = reply.at().node.set_cordoned(true); !done)
      return reply.refuse(done.error());
    watch(
      reply, until, [id](const cluster_view& view) { return leads_nothing(view, id); },
      [id](const answering& to) { answer_told(to, id, told::drain); });
  });
}

void rebalance_cluster(call&& c) {
  if (const auto refused = check_reason(c))
    return c.reply.refuse(*refused);
  c.node().spread_leaders();
  watch(c.reply, c.at().opts.steady_ms() + rebalance_ms_max, is_balanced, answer_rebalanced);
}

}  // namespace holdfast
