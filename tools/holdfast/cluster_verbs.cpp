// `cluster`: what there is, spreading leaders, and certificates, which are made here without a server.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "runtime/host/certificate_folder.hpp"
#include "tools/holdfast/cluster_status.hpp"
#include "tools/holdfast/command_tree.hpp"
#include "tools/holdfast/display_text.hpp"
#include "tools/holdfast/table.hpp"

namespace holdfast::cli {

namespace {

using json = nlohmann::ordered_json;

constexpr std::int64_t node_days_max = 825;

exit_code show_status(session& with) {
  const auto cluster = with.api().get(api_path{"/v1/cluster"});
  auto& out = with.out();
  if (out.is_for_people()) {
    const auto options = out.view_for(with.now());
    const table_style style{options.colour, options.wide ? 0 : out.settings().columns};
    const auto nodes = cluster.value("nodes", json::array());
    const auto partitions = cluster.value("partitions", json::array());
    out.line("cluster " + printable(text_at(cluster, "name")) + ": " +
             std::to_string(nodes.size()) + (nodes.size() == 1 ? " node, " : " nodes, ") +
             std::to_string(partitions.size()) + " partitions (0 is the cluster's own)");
    out.line("");
    out.raw(render(table_of(view::node, nodes, options), style));
    out.line("");
    out.raw(render(partitions_table(cluster, options), style));
  } else {
    out.describe(cluster, with.now());
  }
  for (const auto& note : membership_notes(cluster))
    out.say(note);
  const auto findings = cluster_findings(cluster);
  for (std::size_t i = 0; i < findings.size(); ++i)
    i == 0 ? out.say_failure(findings[i]) : out.say(findings[i]);
  return findings.empty() ? exit_code::done : exit_code::failed;
}

exit_code rebalance(session& with) {
  const auto answer = with.api().post(api_path{"/v1/cluster/rebalance"}, json::object());
  auto& out = with.out();
  if (out.is_for_people())
    out.list({{"items", answer.value("nodes", json::array())}}, view::node, with.now());
  else
    out.describe(answer, with.now());
  if (answer.value("balanced", false))
    return exit_code::done;
  out.say_failure(
    "not even yet: nodes that are down, cordoned or far behind lead nothing; `holdfast cluster "
    "status` shows them");
  return exit_code::unavailable;
}

struct certs_options {
  std::string dir;
  std::vector<std::string> nodes;
  std::int64_t days = 365;
  bool renew = false;
};

/// `n1`, or `n1=10.0.0.11+n1.example.com`.
node_certificate certificate_asked_for(const std::string& text, std::int64_t days) {
  node_certificate out;
  const auto equals = text.find('=');
  out.node = text.substr(0, equals);
  out.days = days;
  if (!is_valid_type(out.node) || out.node == "ca" || out.node == "localhost")
    refuse_usage("`" + out.node +
                 "` is no name of a node: lower-case letters, digits and -, not `ca`");
  if (equals == std::string::npos)
    return out;
  for (std::size_t at = equals + 1; at <= text.size();) {
    const auto end = std::min(text.find('+', at), text.size());
    out.hosts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

void say_what_to_configure(console& out, const std::string& node) {
  out.say("into node.yaml of " + node +
          " (paths are relative to that file), and likewise on the others:\n"
          "  tls: { cert: " +
          node + ".pem, key: " + node +
          ".key }\n"
          "  cluster:\n"
          "    tls: { ca: ca.pem, cert: " +
          node + ".pem, key: " + node +
          ".key }\n"
          "a node needs ca.pem and its own two files; ca.key stays here, or better offline; "
          "clients take --ca ca.pem");
}

exit_code make_certs(session& with, const certs_options& options) {
  if (options.days < 1 || options.days > node_days_max)
    refuse_usage("--days is 1 to " + std::to_string(node_days_max));
  std::vector<node_certificate> wanted;
  for (const auto& text : options.nodes)
    wanted.push_back(certificate_asked_for(text, options.days));
  for (std::size_t i = 0; i < wanted.size(); ++i)
    for (std::size_t k = 0; k < wanted.size(); ++k) {
      const auto& hosts = wanted[k].hosts;
      if (i != k && (wanted[i].node == wanted[k].node ||
                     std::find(hosts.begin(), hosts.end(), wanted[i].node) != hosts.end()))
        refuse_usage("`" + wanted[i].node + "` stands for two nodes");
    }
  const auto made = make_certificates(options.dir, wanted, options.renew, with.now());
  if (!made) {
    const auto code = made.error().code;
    throw command_failure{code == errc::conflict || code == errc::gone      ? exit_code::refused
                          : code == errc::malformed || code == errc::schema ? exit_code::usage
                                                                            : exit_code::failed,
                          made.error().context};
  }
  auto& out = with.out();
  json items = json::array();
  for (const auto& file : made->files)
    items.push_back({{"kind", "file"}, {"name", file.string()}});
  if (!out.is_for_people()) {
    out.list({{"kind", "list"}, {"items", std::move(items)}, {"next", nullptr}}, view::any,
             with.now());
    return exit_code::done;
  }
  for (const auto& file : made->files)
    out.line(file.string());
  say_what_to_configure(out, wanted.front().node);
  return exit_code::done;
}

}  // namespace

void add_cluster_verbs(command_tree& tree) {
  auto& cluster = tree.noun(tree.root(), "cluster", "all nodes together");
  tree.verb(cluster, "status", "nodes, and who leads which partition; exit 1 when nobody leads one",
            "holdfast cluster status\nholdfast cluster status -o wide",
            [](session& with) { return show_status(with); });
  tree.verb(cluster, "rebalance", "spread leaders evenly, now (it happens by itself, too)",
            "holdfast cluster rebalance", [](session& with) { return rebalance(with); });
  auto certs = std::make_shared<certs_options>();
  auto& certs_verb =
    tree.verb(cluster, "certs", "a private CA, and a certificate for each node",
              "holdfast cluster certs certs --nodes n1,n2,n3\n"
              "holdfast cluster certs certs --nodes n1=10.0.0.11,n2=10.0.0.12+n2.example.com\n"
              "holdfast cluster certs certs --nodes n1 --renew",
              [certs](session& with) { return make_certs(with, *certs); });
  certs_verb.add_option("dir", certs->dir, "folder to make them in; with a CA: it signs")
    ->required()
    ->option_text("DIR");
  certs_verb
    .add_option("--nodes,--node", certs->nodes,
                "names, each with its addresses for HTTPS if it has any: n1=10.0.0.11+host")
    ->required()
    ->delimiter(',')
    ->expected(1)
    ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
    ->option_text("NAME,...");
  certs_verb.add_option("--days", certs->days, "how long a node's is valid (default 365)")
    ->option_text("N");
  certs_verb.add_flag("--renew", certs->renew, "replace those of nodes that are there");
  add_membership_verbs(tree, cluster);
  add_backup_verbs(tree, cluster);
  tree.later(cluster, "debug-bundle", "everything a bug report wants",
             "holdfast cluster debug-bundle bundle.tar");
}

}  // namespace holdfast::cli
