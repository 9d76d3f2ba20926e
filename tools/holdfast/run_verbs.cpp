// `run`.

#include <nlohmann/json.hpp>

#include "tools/holdfast/command_tree.hpp"
#include "tools/holdfast/listing.hpp"
#include "tools/holdfast/run_printer.hpp"

namespace holdfast::cli {

namespace {

using json = nlohmann::ordered_json;

struct run_options {
  std::string id;
  std::string agent;
  std::string status;
  std::string from;
  std::string reason;
  bool from_start = false;
  bool watch = false;
  list_options list;
};

void add_id(CLI::App& verb, std::string& into) {
  verb.add_option("id", into, "run_…")->required()->option_text("ID");
}

void add_run_list(command_tree& tree, CLI::App& run) {
  auto options = std::make_shared<run_options>();
  auto& verb =
    tree.verb(run, "list", "runs, newest first",
              "holdfast run list --agent support/cus_42 --status failed", [options](session& with) {
                api_path path{"/v1/runs"};
                path.query("agent", options->agent).query("status", options->status);
                return show_list(with, path, view::run, options->list, list_size::newest_500);
              });
  verb.add_option("--agent", options->agent, "of this agent")->option_text("T/K");
  verb
    .add_option("--status", options->status,
                "queued, running, waiting, completed, failed or cancelled")
    ->option_text("S");
  add_list_options(verb, options->list, list_size::newest_500);
}

/// A run that is open waits with its agent: the agent knows why.
exit_code describe_run(session& with, const std::string& id) {
  auto run = with.api().get(run_path(id));
  const auto status = run.value("status", "");
  const bool open = status == "waiting" || status == "running" || status == "queued";
  if (with.out().is_for_people() && open && run.value("agent", json{}).is_string()) {
    const auto agent = parse_agent(run["agent"].get<std::string>());
    const auto why = with.api().get(agent_path(agent, "/why"));
    run["causes"] = why.value("causes", json::array());
  }
  with.out().describe(run, with.now());
  return exit_code::done;
}

void add_describe(command_tree& tree, CLI::App& run) {
  auto options = std::make_shared<run_options>();
  auto& verb = tree.verb(run, "describe", "one run, why it is not done and what to do about it",
                         "holdfast run describe run_01j9", [options](session& with) {
                           if (options->watch)
                             return show_document(with, run_path(options->id), view::run, true);
                           return describe_run(with, options->id);
                         });
  add_id(verb, options->id);
  verb.add_flag("-w,--watch", options->watch, "go on: a JSON line whenever it has changed");
}

void add_history(command_tree& tree, CLI::App& run) {
  auto options = std::make_shared<run_options>();
  auto& verb =
    tree.verb(run, "history", "everything that happened in it, in order",
              "holdfast run history run_01j9 -o json", [options](session& with) {
                auto path = run_path(options->id, "/history");
                path.query("from", options->from);
                return show_list(with, path, view::history, options->list, list_size::everything);
              });
  add_id(verb, options->id);
  verb.add_option("--from", options->from, "from this sequence number on")->option_text("SEQ");
  add_list_options(verb, options->list, list_size::everything);
}

void add_stream(command_tree& tree, CLI::App& run) {
  auto options = std::make_shared<run_options>();
  auto& verb = tree.verb(run, "stream", "what it does, from its beginning to its end: JSON lines",
                         "holdfast run stream run_01j9", [options](session& with) {
                           return print_stream(with, run_path(options->id, "/stream"),
                                               options->from, stream_of::run);
                         });
  add_id(verb, options->id);
  verb.add_option("--from", options->from, "after this cursor")->option_text("CURSOR");
}

void add_acting(command_tree& tree, CLI::App& run, const std::string& name,
                const std::string& what) {
  auto options = std::make_shared<run_options>();
  auto& verb = tree.verb(
    run, name, what, "holdfast run " + name + " run_01j9", [options, name](session& with) {
      json body = json::object();
      if (!options->reason.empty())
        body["reason"] = options->reason;
      if (options->from_start)
        body["from_start"] = true;
      const auto document = with.api().post(run_path(options->id, "/" + name), body);
      with.out().document(document, view::run, with.now());
      return exit_code::done;
    });
  add_id(verb, options->id);
  verb.add_option("--reason", options->reason, "kept in the history")->option_text("TEXT");
  if (name == "retry")
    verb.add_flag("--from-start", options->from_start, "carry no finished effects over");
}

}  // namespace

void add_run_verbs(command_tree& tree) {
  auto& run = tree.noun(tree.root(), "run", "look at runs, cancel and retry them");
  add_run_list(tree, run);
  add_describe(tree, run);
  add_history(tree, run);
  add_stream(tree, run);
  add_acting(tree, run, "cancel", "end it after its open effects");
  add_acting(tree, run, "retry", "run it again from the failed effect");
}

}  // namespace holdfast::cli
