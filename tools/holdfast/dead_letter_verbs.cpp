// `event dlq`.

#include <nlohmann/json.hpp>

#include "tools/holdfast/command_tree.hpp"
#include "tools/holdfast/listing.hpp"

namespace holdfast::cli {

namespace {

using json = nlohmann::ordered_json;

api_path dead_letter_path(const std::string& id, std::string_view rest = {}) {
  api_path path{"/v1/dlq"};
  path.segment(id).fixed(rest);
  return path;
}

void add_dead_letter_list(command_tree& tree, CLI::App& dlq) {
  auto options = std::make_shared<list_options>();
  auto& verb = tree.verb(dlq, "list", "events that could not be delivered or handled",
                         "holdfast event dlq list", [options](session& with) {
                           return show_list(with, api_path{"/v1/dlq"}, view::dead_letter, *options,
                                            list_size::newest_500);
                         });
  add_list_options(verb, *options, list_size::newest_500);
}

void add_show(command_tree& tree, CLI::App& dlq) {
  auto id = std::make_shared<std::string>();
  auto& verb =
    tree.verb(dlq, "show", "one of them, with the reason", "holdfast event dlq show evt_01j9",
              [id](session& with) {
                return show_document(with, dead_letter_path(*id), view::dead_letter, false);
              });
  verb.add_option("id", *id, "its id")->required()->option_text("ID");
}

/// `redrive` and `drop`.
void add_acting(command_tree& tree, CLI::App& dlq, const std::string& name, const std::string& done,
                const std::string& what) {
  auto ids = std::make_shared<std::vector<std::string>>();
  auto reason = std::make_shared<std::string>();
  auto& verb =
    tree.verb(dlq, name, what, "holdfast event dlq " + name + " evt_01j9", [=](session& with) {
      json body = json::object();
      if (!reason->empty())
        body["reason"] = *reason;
      for (const auto& id : *ids) {
        const auto answer = with.api().post(dead_letter_path(id, "/" + name), body);
        if (with.out().is_for_people())
          with.out().line(id + " " + done);
        else
          with.out().describe(answer.empty() ? json{{"id", id}} : answer, with.now());
      }
      return exit_code::done;
    });
  verb.add_option("id", *ids, "their ids")->required()->option_text("ID...");
  verb.add_option("--reason", *reason, "kept in the audit log")->option_text("TEXT");
}

}  // namespace

void add_dead_letter_verbs(command_tree& tree, CLI::App& event) {
  auto& dlq = tree.noun(event, "dlq", "events that could not be delivered or handled");
  add_dead_letter_list(tree, dlq);
  add_show(tree, dlq);
  add_acting(tree, dlq, "redrive", "redriven", "deliver it again");
  add_acting(tree, dlq, "drop", "dropped", "forget it");
}

}  // namespace holdfast::cli
