// Nodes that join the cluster, and those that leave it for good. Answered by the owner of group 0.

#include <algorithm>

#include "runtime/core/feature_levels.hpp"
#include "runtime/gateway/documents.hpp"
#include "runtime/gateway/requests.hpp"
#include "runtime/host/config.hpp"

namespace holdfast {

namespace {

constexpr unsigned status_created = 201;
constexpr unsigned status_accepted = 202;

struct new_node {
  add_node wanted;
  std::string cluster;
  std::optional<std::uint64_t> partitions;
  std::optional<std::uint64_t> newest;  ///< of the feature levels that it can do
  std::optional<std::uint64_t> oldest;
};

std::optional<refusal> read_new_node(const call& c, new_node& out) {
  if (auto checked = check_body(c.request.body, c.at().opts.body); !checked)
    return refusal{checked.error(), {}};
  member_reader members{c.request.body,
                        {"name", "address", "folder", "cluster", "partitions", "feature_level",
                         "feature_oldest", "roles"}};
  members.require("name", "the name of the node");
  members.require("address", "where the other nodes reach its link, HOST:PORT");
  out.wanted.name = members.text("name");
  out.wanted.address = members.text("address");
  out.wanted.folder = members.text("folder");
  out.cluster = members.text("cluster");
  out.partitions = members.number("partitions");
  out.newest = members.number("feature_level");
  out.oldest = members.number("feature_oldest");
  if (members.good() && !is_valid_type(out.wanted.name))
    members.note("/name", "is no name of a node: lower-case letters, digits and -");
  if (members.good() && !is_link_address(out.wanted.address))
    members.note("/address", "expected HOST:PORT");
  if (const auto names = members.texts("roles"); !names.empty()) {
    const auto roles = parse_node_roles(names);
    if (!roles)
      members.note("/roles", "expected `gateway`, `worker`, or both of them");
    out.wanted.roles = roles.value_or(node_roles::both);
  }
  return members.good() ? std::nullopt : std::optional{members.refused()};
}

/// What it would be refused for by the first node that it spoke to.
status check_fits(const new_node& node, const cluster_view& view, std::uint16_t partitions) {
  const auto& name = node.wanted.name;
  if (!node.cluster.empty() && node.cluster != view.name)
    return error{errc::conflict, "this is the cluster `" + view.name + "`, `" + name +
                                   "` is configured for `" + node.cluster +
                                   "`; write the same `cluster.name`"};
  if (node.partitions && *node.partitions != partitions)
    return error{errc::conflict, "the cluster has " + std::to_string(partitions) +
                                   " partitions, `" + name + "` is made for " +
                                   std::to_string(*node.partitions)};
  if (node.newest) {
    const feature_levels theirs{static_cast<unsigned>(node.oldest.value_or(1)),
                                static_cast<unsigned>(*node.newest)};
    if (auto wrong = level_problem(theirs, view.feature_level); !wrong.empty())
      return error{errc::conflict, "`" + name + "` cannot join: " + wrong};
  }
  const auto beyond = [](const auto& one) { return !is_loopback(host_of_link(one.address)); };
  if (is_loopback(host_of_link(node.wanted.address)) &&
      std::any_of(view.nodes.begin(), view.nodes.end(), beyond))
    return error{errc::conflict, "other machines cannot reach `" + name + "` at " +
                                   node.wanted.address + "; see `cluster.advertise`"};
  return ok_status();
}

std::string joined_document(const std::string& name, const cluster_view& view,
                            std::uint16_t partitions) {
  std::string out;
  json_writer json{out};
  json.begin_object().field("kind", "joined").field("name", name).field("cluster", view.name);
  json.field("partitions", partitions).field("feature_level", view.feature_level);
  json.key("members").begin_array();
  for (const auto& node : view.nodes)
    if (node.membership != "removing")
      json.begin_object().field("name", node.id).field("address", node.address).end_object();
  json.end_array().end_object();
  return out;
}

/// Of a change that is asked for once and is done: refusals leave the rest of the audit to the answer.
template <class Done>
answer_function when_changed(const answering& reply, Done done) {
  return [reply, done = std::move(done)](const answer& told) {
    if (const auto* why = std::get_if<error>(&told))
      return reply.refuse(*why);
    const auto* changed = std::get_if<command_done>(&told);
    if (changed != nullptr && changed->changed)
      reply.audited();
    const auto view = reply.at().node.cluster();
    if (!changed || !view)
      return reply.refuse(error{errc::internal, "an answer of another kind"});
    done(*view);
  };
}

std::string removed_document(const cluster_node_view& node, const cluster_view& view) {
  std::string out;
  json_writer json{out};
  begin_node(json, node, view);
  json.end_object();
  return out;
}

}  // namespace

void add_member_node(call&& c) {
  new_node node;
  if (const auto refused = read_new_node(c, node))
    return c.reply.refuse(*refused);
  c.reply.note_subject(node.wanted.name);
  const auto view = c.node().cluster();
  const auto partitions = c.node().partitions();
  if (view)
    if (const auto fits = check_fits(node, *view, partitions); !fits)
      return c.reply.refuse(fits.error());
  const auto name = node.wanted.name;
  c.node().change_member(std::move(node.wanted), c.reply.note(),
                         when_changed(c.reply, [=, reply = c.reply](const cluster_view& now) {
                           reply.document(joined_document(name, now, partitions), status_created);
                         }));
}

void remove_member_node(call&& c) {
  const auto id = c.parameter(0);
  const auto query = c.query();
  if (!query)
    return c.reply.refuse(query.error());
  const auto force = query->flag("force");
  if (!force)
    return c.reply.refuse(force.error());
  const auto view = c.node().cluster();
  cluster_node_view node;
  node.id = id.value_or("");
  node.state = "down";
  if (view)
    for (const auto& one : view->nodes)
      if (one.id == node.id)
        node = one;
  if (view && !*force && node.membership != "removing" &&
      !can_decide_without(*view, node.id, absence::removed))
    return c.reply.refuse(error{
      errc::conflict, "without `" + node.id +
                        "` the nodes that are up are no majority of those that are left; start "
                        "them first (`holdfast cluster status` shows them), or force it"});
  node.membership = "removed";
  c.node().change_member(remove_node{node.id}, c.reply.note(),
                         when_changed(c.reply, [=, reply = c.reply](const cluster_view& now) {
                           auto shown = node;
                           for (const auto& one : now.nodes)
                             if (one.id == node.id)
                               shown = one;
                           reply.document(removed_document(shown, now), status_accepted);
                         }));
}

}  // namespace holdfast
