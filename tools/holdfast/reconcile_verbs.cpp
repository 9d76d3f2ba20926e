// `reconcile`: effects whose outcome only a person can tell.

#include <iostream>
#include <nlohmann/json.hpp>

#include "tools/holdfast/command_tree.hpp"
#include "tools/holdfast/json_input.hpp"
#include "tools/holdfast/listing.hpp"

namespace holdfast::cli {

namespace {

using json = nlohmann::ordered_json;

struct resolve_options {
  std::string id;
  std::string succeeded;
  bool succeeded_given = false;
  bool retry = false;
  bool failed = false;
  std::string note;
};

exit_code resolve(session& with, const resolve_options& options) {
  if (int{options.succeeded_given} + int{options.retry} + int{options.failed} != 1)
    refuse_usage("say what came of it: --succeeded JSON, --retry or --failed");
  std::string body = R"({"resolve":")";
  if (options.succeeded_given)
    body +=
      R"(succeeded","result":)" + read_json_text(options.succeeded, "--succeeded", with.host().in);
  else
    body += options.retry ? "retry\"" : "failed\"";
  if (!options.note.empty())
    body += ",\"note\":" + json(options.note).dump();
  api_request request{.method = "POST", .path = api_path{"/v1/reconcile"}};
  request.path.segment(options.id);
  request.content_type = "application/json";
  request.body = body + "}";
  const auto answer = with.api().call(request);
  if (with.out().is_for_people())
    with.out().line(options.id + " resolved");
  else
    with.out().describe(answer.body.empty() ? json{{"id", options.id}} : answer.document(),
                        with.now());
  return exit_code::done;
}

}  // namespace

void add_reconcile_verbs(command_tree& tree) {
  auto& reconcile =
    tree.noun(tree.root(), "reconcile", "effects whose outcome is unknown until a person tells");

  auto list = std::make_shared<list_options>();
  auto& list_verb = tree.verb(reconcile, "list", "effects that wait for a person",
                              "holdfast reconcile list -o wide", [list](session& with) {
                                return show_list(with, api_path{"/v1/reconcile"}, view::reconcile,
                                                 *list, list_size::everything);
                              });
  add_list_options(list_verb, *list, list_size::everything);

  auto options = std::make_shared<resolve_options>();
  auto& verb =
    tree.verb(reconcile, "resolve", "tell what came of one",
              "holdfast reconcile resolve eff_01j9_2 --succeeded '{\"refunded\": true}'\n"
              "holdfast reconcile resolve eff_01j9_2 --failed --note 'not in the bank log'",
              [options](session& with) { return resolve(with, *options); });
  verb.add_option("id", options->id, "its id")->required()->option_text("ID");
  verb
    .add_option_function<std::string>(
      "--succeeded",
      [options](const std::string& text) {
        options->succeeded = text;
        options->succeeded_given = true;
      },
      "it was performed, with this result: JSON, @FILE or -")
    ->option_text("JSON");
  verb.add_flag("--retry", options->retry, "it was not performed: perform it now");
  verb.add_flag("--failed", options->failed, "it was not performed: tell the agent that it failed");
  verb.add_option("--note", options->note, "kept in the history")->option_text("TEXT");
}

}  // namespace holdfast::cli
