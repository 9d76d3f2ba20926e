// `node`: the members of the cluster. `dev` and `serve`, which are nodes, stand in node_verbs.cpp.

#include <nlohmann/json.hpp>
#include <thread>

#include "schemas/units.hpp"
#include "tools/holdfast/command_tree.hpp"
#include "tools/holdfast/listing.hpp"

namespace holdfast::cli {

namespace {

using json = nlohmann::ordered_json;

constexpr std::chrono::milliseconds drain_wait_usual{30'000};
constexpr std::chrono::milliseconds drain_wait_max{300'000};
constexpr std::chrono::milliseconds answer_slack{10'000};
constexpr std::chrono::milliseconds remove_poll{200};

struct member_options {
  std::string id;
  std::string reason;
  std::string wait;
  bool force = false;
  bool yes = false;
};

api_path member_path(const std::string& id, std::string_view rest = {}) {
  api_path path{"/v1/nodes"};
  path.segment(id).fixed(rest);
  return path;
}

json tell_member(session& with, api_path path, const member_options& options,
                 std::chrono::milliseconds wait) {
  json body = json::object();
  if (!options.reason.empty())
    body["reason"] = options.reason;
  api_request request{.method = "POST", .path = std::move(path)};
  request.content_type = "application/json";
  request.body = body.dump();
  request.answer_timeout = wait + answer_slack;
  return with.api().call(request).document();
}

exit_code set_cordon(session& with, const member_options& options, bool cordoned) {
  const auto node =
    tell_member(with, member_path(options.id, cordoned ? "/cordon" : "/uncordon"), options, {});
  with.out().document(node, view::node, with.now());
  if (cordoned)
    with.out().say(options.id + " leads nothing until `holdfast node uncordon " + options.id +
                   "`, or until it is restarted");
  return exit_code::done;
}

std::chrono::milliseconds wait_of(const member_options& options) {
  auto wait = drain_wait_usual;
  if (!options.wait.empty()) {
    const auto ms = parse_duration_ms(options.wait);
    if (!ms)
      refuse_usage("--wait: " + ms.error().context);
    wait = std::chrono::milliseconds{*ms};
  }
  if (wait.count() < 1 || wait > drain_wait_max)
    refuse_usage("--wait is at most 5m");
  return wait;
}

/// Every partition has let it go, as the server sees it. A server that is gone may be the very node.
bool is_out(session& with, const std::string& id) {
  try {
    return text_at(with.api().get(member_path(id)), "membership") == "removed";
  } catch (const command_failure& why) {
    if (why.http_status == 404)
      return true;
    if (why.http_status == 0)
      throw command_failure{exit_code::unavailable,
                            "`" + id + "` is being removed, and " + with.api().server() +
                              " does not answer any more; ask another node"};
    throw;
  }
}

exit_code remove_node_from_cluster(session& with, const member_options& options) {
  const auto wait = wait_of(options);
  if (!with.confirm("remove " + options.id + " from the cluster, for good?", options.yes)) {
    with.out().say("nothing done");
    return exit_code::done;
  }
  auto path = member_path(options.id);
  if (options.force)
    path.query("force", "true");
  const auto node = with.api().call({.method = "DELETE", .path = std::move(path)}).document();
  with.out().document(node, view::node, with.now());
  const auto until = std::chrono::steady_clock::now() + wait;
  while (!is_out(with, options.id)) {
    if (std::chrono::steady_clock::now() >= until) {
      with.out().say_failure("not yet: some partitions still have " + options.id +
                             "; it goes on by itself, `holdfast node describe " + options.id +
                             "` shows how far it is");
      return exit_code::unavailable;
    }
    std::this_thread::sleep_for(remove_poll);
  }
  with.out().say(options.id +
                 " is no member any more; if it runs it ends by itself, and its data "
                 "folder does not start again");
  return exit_code::done;
}

exit_code drain(session& with, const member_options& options) {
  const auto wait = wait_of(options);
  auto path = member_path(options.id, "/drain");
  path.query("wait", format_duration_ms(wait.count()));
  const auto node = tell_member(with, std::move(path), options, wait);
  with.out().document(node, view::node, with.now());
  if (node.value("drained", false)) {
    with.out().say(options.id + " leads nothing, until `holdfast node uncordon " + options.id +
                   "`, or until it is restarted");
    if (node.value("can_stop", true))
      with.out().say("it can be stopped");
    else
      with.out().say_failure(
        "do not stop it: other nodes are down, and without it there is no "
        "majority; `holdfast cluster status` shows them");
    return exit_code::done;
  }
  with.out().say_failure("not yet: " + options.id + " leads " + text_at(node, "leaders") +
                         " partitions, or some have no leader; `holdfast cluster status` shows who "
                         "is up and how far behind");
  return exit_code::unavailable;
}

void add_member_id(CLI::App& verb, member_options& into) {
  verb.add_option("id", into.id, "its name")->required()->option_text("ID");
}

}  // namespace

void add_member_verbs(command_tree& tree) {
  auto& node = tree.noun(tree.root(), "node", "the machines");
  auto list = std::make_shared<list_options>();
  auto& list_verb = tree.verb(node, "list", "nodes, and how much each leads",
                              "holdfast node list\nholdfast node list -w", [list](session& with) {
                                return show_list(with, api_path{"/v1/nodes"}, view::node, *list,
                                                 list_size::everything);
                              });
  add_list_options(list_verb, *list, list_size::everything);

  auto described = std::make_shared<member_options>();
  auto& describe_verb =
    tree.verb(node, "describe", "one node, and what it leads", "holdfast node describe n2",
              [described](session& with) {
                return show_document(with, member_path(described->id), view::node, false);
              });
  add_member_id(describe_verb, *described);

  for (const bool cordoned : {true, false}) {
    auto options = std::make_shared<member_options>();
    auto& verb = tree.verb(
      node, cordoned ? "cordon" : "uncordon",
      cordoned ? "it leads nothing, until uncordoned or restarted" : "it takes part again",
      cordoned ? "holdfast node cordon n2" : "holdfast node uncordon n2",
      [options, cordoned](session& with) { return set_cordon(with, *options, cordoned); });
    add_member_id(verb, *options);
    verb.add_option("--reason", options->reason, "why")->option_text("TEXT");
  }

  auto drained = std::make_shared<member_options>();
  auto& drain_verb = tree.verb(
    node, "drain", "cordon, and wait until it leads nothing; exit 6 when that takes longer",
    "holdfast node drain n2\nholdfast node drain n2 --wait 1m && ssh n2 systemctl restart holdfast",
    [drained](session& with) { return drain(with, *drained); });
  add_member_id(drain_verb, *drained);
  drain_verb.add_option("--reason", drained->reason, "why")->option_text("TEXT");
  drain_verb.add_option("--wait", drained->wait, "how long, up to 5m (default 30s)")
    ->option_text("DURATION");

  auto removed = std::make_shared<member_options>();
  auto& remove_verb = tree.verb(
    node, "remove",
    "leave the cluster for good, dead or alive; exit 6 when the others take longer to let it go",
    "holdfast node remove n2\nholdfast node remove n2 --yes --wait 2m",
    [removed](session& with) { return remove_node_from_cluster(with, *removed); });
  add_member_id(remove_verb, *removed);
  remove_verb.add_flag("--force", removed->force,
                       "also when the nodes that are left and up are no majority");
  remove_verb.add_flag("-y,--yes", removed->yes, "do not ask");
  remove_verb.add_option("--wait", removed->wait, "how long, up to 5m (default 30s)")
    ->option_text("DURATION");
}

}  // namespace holdfast::cli
