// `agent`: the verbs that steer, on one agent or by `--where` on many.

#include <nlohmann/json.hpp>

#include "tools/holdfast/command_tree.hpp"

namespace holdfast::cli {

namespace {

using json = nlohmann::ordered_json;

struct acting_options {
  std::string agent;
  std::string where;
  std::string reason;
  bool dry_run = false;
  bool yes = false;
  bool from_start = false;
};

struct acting_verb {
  const char* name;
  const char* what;
  const char* example;
};

constexpr acting_verb acting_verbs[] = {
  {"pause", "nothing new starts, running effects finish",
   "holdfast agent pause support/cus_42 --reason 'customer asked'"},
  {"resume", "lift pause and quarantine", "holdfast agent resume support/cus_42"},
  {"cancel", "end the open run after its open effects", "holdfast agent cancel support/cus_42"},
  {"kill", "end the open run now; open writes become unknown",
   "holdfast agent kill support/cus_42"},
  {"quarantine", "as pause, and left out of batches",
   "holdfast agent quarantine support/cus_42 --reason 'looks wrong'"},
  {"retry", "fire a waiting backoff now, else run again from the failed effect",
   "holdfast agent retry support/cus_42\n"
   "holdfast agent retry --where '.type == \"support\" and .status == \"waiting\"' --dry-run"},
};

json body_of(const acting_options& options) {
  json body = json::object();
  if (!options.reason.empty())
    body["reason"] = options.reason;
  if (options.from_start)
    body["from_start"] = true;
  return body;
}

exit_code act_on_one(session& with, const std::string& verb, const acting_options& options) {
  const auto agent = parse_agent(options.agent);
  const auto document = with.api().post(agent_path(agent, "/" + verb), body_of(options));
  with.out().document(document, view::agent, with.now());
  return exit_code::done;
}

std::string agents_text(const json& count) {
  return count.dump() + (count == 1 ? " agent" : " agents");
}

/// `failed` lists the first of those that failed, `failures` counts all of them.
exit_code print_batch(session& with, const json& answer) {
  const auto failed = answer.value("failed", json::array());
  const auto failures = answer.value("failures", json(failed.size()));
  if (with.out().is_for_people())
    with.out().line("matched " + answer.value("matched", json(0)).dump() + ", done " +
                    answer.value("done", json(0)).dump() + ", failed " + failures.dump());
  else
    with.out().describe(answer, with.now());
  for (const auto& item : failed)
    with.out().say("  failed: " + scalar_text(item));
  return failures == 0 ? exit_code::done : exit_code::failed;
}

/// Asks how many it would be, asks the user, then does it.
exit_code act_on_many(session& with, const std::string& verb, const acting_options& options) {
  auto body = body_of(options);
  body["verb"] = verb;
  body["where"] = options.where;
  const api_path path{"/v1/agents:batch"};
  const bool asks = !options.yes && with.host().in_is_terminal && with.host().err_is_terminal;
  if (options.dry_run || asks) {
    body["dry_run"] = true;
    const auto plan = with.api().post(path, body);
    const auto matched = plan.value("matched", json(0));
    if (options.dry_run)
      return print_batch(with, plan);
    if (matched == 0) {
      with.out().say("nothing matches");
      return exit_code::done;
    }
    if (!with.confirm(verb + " " + agents_text(matched) + "?", false)) {
      with.out().say("nothing done");
      return exit_code::done;
    }
  }
  body["dry_run"] = false;
  return print_batch(with, with.api().post(path, body, new_idempotency_key()));
}

exit_code act(session& with, const std::string& verb, const acting_options& options) {
  if (options.agent.empty() == options.where.empty())
    refuse_usage(verb + " takes either an agent, type/key, or --where JQ");
  if (options.where.empty() && options.dry_run)
    refuse_usage("--dry-run goes with --where");
  return options.where.empty() ? act_on_one(with, verb, options) : act_on_many(with, verb, options);
}

void add_batch_options(CLI::App& verb, acting_options& into) {
  verb.add_option("agent", into.agent, "type/key")->option_text("T/K");
  verb
    .add_option("--where", into.where, "all agents for which this jq over their document is true")
    ->option_text("JQ");
  verb.add_option("--reason", into.reason, "kept in the history")->option_text("TEXT");
  verb.add_flag("--dry-run", into.dry_run, "with --where: say how many, do nothing");
  verb.add_flag("-y,--yes", into.yes, "do not ask");
}

exit_code delete_one(session& with, const acting_options& options) {
  const auto agent = parse_agent(options.agent);
  if (!with.confirm("delete " + agent.text() + " with its state and history?", options.yes)) {
    with.out().say("nothing done");
    return exit_code::done;
  }
  with.api().call({.method = "DELETE", .path = agent_path(agent)});
  if (with.out().is_for_people())
    with.out().say("deleted " + agent.text());
  else
    with.out().document({{"kind", "deleted"}, {"agent", agent.text()}}, view::any, with.now());
  return exit_code::done;
}

void add_delete(command_tree& tree, CLI::App& agent) {
  auto options = std::make_shared<acting_options>();
  auto& verb = tree.verb(agent, "delete", "remove it, its state and its history",
                         "holdfast agent delete support/cus_42 --yes", [options](session& with) {
                           if (!options->where.empty() || options->agent.empty())
                             return act(with, "delete", *options);
                           if (options->dry_run)
                             refuse_usage("--dry-run goes with --where");
                           return delete_one(with, *options);
                         });
  add_batch_options(verb, *options);
}

struct fork_options {
  std::string agent;
  std::uint64_t at = 0;
  std::string to;
  std::string reason;
};

void add_fork(command_tree& tree, CLI::App& agent) {
  auto options = std::make_shared<fork_options>();
  auto& verb = tree.verb(agent, "fork", "a copy of it as it was, under another key",
                         "holdfast agent fork support/cus_42 --at 17 --to cus_42-what-if",
                         [options](session& with) {
                           const auto from = parse_agent(options->agent);
                           json body{{"at", options->at}, {"key", options->to}};
                           if (!options->reason.empty())
                             body["reason"] = options->reason;
                           const auto document = with.api().post(agent_path(from, "/fork"), body);
                           with.out().document(document, view::agent, with.now());
                           return exit_code::done;
                         });
  verb.add_option("agent", options->agent, "type/key")->required()->option_text("T/K");
  verb.add_option("--at", options->at, "sequence number in its history")
    ->required()
    ->option_text("SEQ");
  verb.add_option("--to", options->to, "key of the copy")->required()->option_text("K2");
  verb.add_option("--reason", options->reason, "kept in the history")->option_text("TEXT");
}

}  // namespace

void add_agent_acting_verbs(command_tree& tree, CLI::App& agent) {
  for (const auto& each : acting_verbs) {
    auto options = std::make_shared<acting_options>();
    auto& verb = tree.verb(agent, each.name, each.what, each.example,
                           [options, name = std::string{each.name}](session& with) {
                             return act(with, name, *options);
                           });
    add_batch_options(verb, *options);
    if (std::string_view{each.name} == "retry")
      verb.add_flag("--from-start", options->from_start, "carry no finished effects over");
  }
  add_fork(tree, agent);
  add_delete(tree, agent);
}

}  // namespace holdfast::cli
