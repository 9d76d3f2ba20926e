// `agent`: what looks without touching. What acts is in agent_acting_verbs.cpp and its neighbours.

#include <nlohmann/json.hpp>

#include "tools/holdfast/command_tree.hpp"
#include "tools/holdfast/listing.hpp"
#include "tools/holdfast/run_printer.hpp"

namespace holdfast::cli {

namespace {

using json = nlohmann::ordered_json;

struct agent_list_options {
  std::string type;
  std::string status;
  std::string where;
  list_options list;
};

void add_agent_list(command_tree& tree, CLI::App& agent) {
  auto options = std::make_shared<agent_list_options>();
  auto& verb =
    tree.verb(agent, "list", "agents, by address",
              "holdfast agent list --status waiting\n"
              "holdfast agent list --where '.usage.usd | tonumber > 1' -o ids",
              [options](session& with) {
                api_path path{"/v1/agents"};
                path.query("type", options->type)
                  .query("status", options->status)
                  .query("where", options->where);
                return show_list(with, path, view::agent, options->list, list_size::everything);
              });
  verb.add_option("--type", options->type, "of this type")->option_text("T");
  verb.add_option("--status", options->status, "idle, running, waiting, paused or quarantined")
    ->option_text("S");
  verb.add_option("--where", options->where, "for which this jq over the agent's document is true")
    ->option_text("JQ");
  add_list_options(verb, options->list, list_size::everything);
}

struct one_agent {
  std::string agent;
  bool watch = false;
};

void add_agent_argument(CLI::App& verb, std::string& into) {
  verb.add_option("agent", into, "type/key")->required()->option_text("T/K");
}

/// The document, then why it is not idle and what to do. `describe` asks `why` when the document
/// does not say.
exit_code describe_agent(session& with, const agent_address& agent) {
  auto document = with.api().get(agent_path(agent));
  if (with.out().is_for_people() && document.value("status", "idle") != "idle") {
    const auto cause = document.value("cause", json{});
    if (!cause.is_object() || !cause.contains("unblock")) {
      auto why = with.api().get(agent_path(agent, "/why"));
      document["causes"] = why.value("causes", json::array());
    }
  }
  with.out().describe(document, with.now());
  return exit_code::done;
}

exit_code explain_agent(session& with, const agent_address& agent) {
  const auto why = with.api().get(agent_path(agent, "/why"));
  if (with.out().is_for_people())
    with.out().raw(explanation_of(why, with.out().view_for(with.now())));
  else
    with.out().describe(why, with.now());
  return exit_code::done;
}

void add_describe(command_tree& tree, CLI::App& agent) {
  auto options = std::make_shared<one_agent>();
  auto& verb = tree.verb(agent, "describe", "one agent, why it waits and what unblocks it",
                         "holdfast agent describe support/cus_42", [options](session& with) {
                           const auto agent_named = parse_agent(options->agent);
                           if (options->watch)
                             return show_document(with, agent_path(agent_named), view::agent, true);
                           return describe_agent(with, agent_named);
                         });
  add_agent_argument(verb, options->agent);
  verb.add_flag("-w,--watch", options->watch, "go on: a JSON line whenever it has changed");
}

void add_why_and_watch(command_tree& tree, CLI::App& agent) {
  auto why = std::make_shared<one_agent>();
  auto& why_verb = tree.verb(agent, "why", "what it waits for and the command that unblocks it",
                             "holdfast agent why support/cus_42", [why](session& with) {
                               return explain_agent(with, parse_agent(why->agent));
                             });
  add_agent_argument(why_verb, why->agent);

  auto watch = std::make_shared<one_agent>();
  auto& watch_verb = tree.verb(agent, "watch", "its document, again whenever it has changed",
                               "holdfast agent watch support/cus_42", [watch](session& with) {
                                 return show_document(with, agent_path(parse_agent(watch->agent)),
                                                      view::agent, true);
                               });
  add_agent_argument(watch_verb, watch->agent);
}

struct agent_part_options {
  std::string agent;
  std::string run;
  std::string from;
  std::string as_curl;
  list_options list;
};

/// `mailbox` and `timers`.
void add_part(command_tree& tree, CLI::App& agent, const std::string& name, const std::string& what,
              view columns) {
  auto options = std::make_shared<agent_part_options>();
  auto& verb =
    tree.verb(agent, name, what, "holdfast agent " + name + " support/cus_42",
              [options, name, columns](session& with) {
                const auto path = agent_path(parse_agent(options->agent), "/" + name);
                return show_list(with, path, columns, options->list, list_size::everything);
              });
  add_agent_argument(verb, options->agent);
  add_list_options(verb, options->list, list_size::everything);
}

void add_history(command_tree& tree, CLI::App& agent) {
  auto options = std::make_shared<agent_part_options>();
  auto& verb =
    tree.verb(agent, "history", "everything that happened to it, in order",
              "holdfast agent history support/cus_42 --run run_01j9", [options](session& with) {
                if (!options->as_curl.empty())
                  throw command_failure{exit_code::refused,
                                        "agent history --as-curl: not available in this release"};
                auto path = agent_path(parse_agent(options->agent), "/history");
                path.query("run", options->run).query("from", options->from);
                return show_list(with, path, view::history, options->list, list_size::everything);
              });
  add_agent_argument(verb, options->agent);
  verb.add_option("--run", options->run, "of this run only")->option_text("ID");
  verb.add_option("--from", options->from, "from this sequence number on")->option_text("SEQ");
  verb.add_option("--as-curl", options->as_curl, "a call of its history as a curl line")
    ->option_text("SEQ");
  add_list_options(verb, options->list, list_size::everything);
}

void add_stream(command_tree& tree, CLI::App& agent) {
  auto options = std::make_shared<agent_part_options>();
  auto& verb = tree.verb(agent, "stream", "what its runs do, as it happens: JSON lines",
                         "holdfast agent stream support/cus_42", [options](session& with) {
                           const auto path = agent_path(parse_agent(options->agent), "/stream");
                           return print_stream(with, path, options->from, stream_of::agent);
                         });
  add_agent_argument(verb, options->agent);
  verb.add_option("--from", options->from, "after this cursor (default: now)")
    ->option_text("CURSOR");
}

}  // namespace

void add_agent_verbs(command_tree& tree) {
  auto& agent = tree.noun(tree.root(), "agent", "look at agents, send to them, steer them");
  add_agent_list(tree, agent);
  add_describe(tree, agent);
  add_why_and_watch(tree, agent);
  add_agent_state_verb(tree, agent);
  add_part(tree, agent, "mailbox", "events that wait for it", view::mailbox);
  add_history(tree, agent);
  add_part(tree, agent, "timers", "its timers, retries included", view::timer);
  add_agent_send_verb(tree, agent);
  add_stream(tree, agent);
  add_agent_acting_verbs(tree, agent);
}

}  // namespace holdfast::cli
