// The part of documents.hpp about nodes.

#include "runtime/gateway/documents.hpp"

namespace holdfast {

namespace {

void write_node_fields(json_writer& json, const cluster_node_view& node) {
  json.field("id", node.id);
  json.field("address", node.address);
  json.field("state", node.state);
  if (node.version.empty())
    json.null_field("version");
  else
    json.field("version", node.version);
  json.field("leaders", node.leaders);
  json.field("replicas", node.replicas);
  json.field("membership", node.membership);
  json.key("roles").begin_array();
  for (const auto role : names_of(node.roles))
    json.value(role);
  json.end_array();
}

}  // namespace

void write_node(json_writer& json, const cluster_node_view& node) {
  json.begin_object();
  write_node_fields(json, node);
  json.end_object();
}

void begin_node(json_writer& json, const cluster_node_view& node, const cluster_view& of) {
  json.begin_object().field("kind", "node");
  write_node_fields(json, node);
  json.field("partitions", static_cast<std::uint64_t>(of.partitions.size()));
  json.key("leading").begin_array();
  for (const auto& partition : of.partitions)
    if (partition.leader == node.id)
      json.value(partition.id);
  json.end_array();
}

std::string cluster_document(const cluster_view& view) {
  std::string out;
  json_writer json{out};
  json.begin_object().field("kind", "cluster").field("name", view.name);
  json.field("feature_level", view.feature_level);
  json.key("nodes").begin_array();
  for (const auto& node : view.nodes)
    write_node(json, node);
  json.end_array().key("partitions").begin_array();
  for (const auto& partition : view.partitions) {
    json.begin_object().field("id", partition.id);
    if (partition.leader.empty())
      json.null_field("leader");
    else
      json.field("leader", partition.leader);
    json.field("term", partition.term).field("settled", partition.settled);
    json.key("replicas").begin_array();
    for (const auto& replica : partition.replicas)
      json.begin_object()
        .field("node", replica.node)
        .field("applied", replica.applied)
        .field("lag", replica.lag)
        .field("votes", replica.votes)
        .end_object();
    json.end_array().end_object();
  }
  json.end_array().end_object();
  return out;
}

}  // namespace holdfast
