// `event`.

#include <nlohmann/json.hpp>

#include "schemas/units.hpp"
#include "tools/holdfast/command_tree.hpp"
#include "tools/holdfast/json_input.hpp"
#include "tools/holdfast/listing.hpp"

namespace holdfast::cli {

namespace {

using json = nlohmann::ordered_json;

struct event_send_options {
  std::string source = "holdfast/cli";
  std::string type;
  std::string data;
  std::string id;
  std::string subject;
  std::string key;
};

/// CloudEvents 1.0, structured. `data` goes out as it was written.
std::string cloud_event(const event_send_options& options, const std::string& data, time_us now) {
  json event{{"specversion", "1.0"},
             {"id", options.id.empty() ? new_idempotency_key() : options.id},
             {"source", options.source},
             {"type", options.type},
             {"time", format_time(now)}};
  if (!options.subject.empty())
    event["subject"] = options.subject;
  auto text = event.dump();
  if (!data.empty()) {
    text.pop_back();
    text += R"(,"datacontenttype":"application/json","data":)" + data + "}";
  }
  return text;
}

void print_accepted(session& with, const json& answer) {
  if (!with.out().is_for_people() && with.out().format() != output_format::ids) {
    with.out().describe(answer, with.now());
    return;
  }
  for (const auto& event : answer.value("events", json::array())) {
    auto line = event.value("event_id", "");
    if (with.out().is_for_people()) {
      const auto agents = event.value("agents", json::array());
      line += agents.empty() ? "  no route: kept in the event log" : "  to";
      for (const auto& agent : agents)
        line += " " + scalar_text(agent);
    }
    with.out().line(line);
  }
}

exit_code send_event(session& with, const event_send_options& options) {
  std::string data;
  if (!options.data.empty())
    data = read_json_text(options.data, "--data", with.host().in);
  api_request request{.method = "POST", .path = api_path{"/v1/events"}};
  request.content_type = "application/cloudevents+json";
  request.body = cloud_event(options, data, with.now());
  if (!options.key.empty())
    request.headers.emplace_back("Idempotency-Key", options.key);
  print_accepted(with, with.api().call(request).document());
  return exit_code::done;
}

void add_send(command_tree& tree, CLI::App& event) {
  auto options = std::make_shared<event_send_options>();
  auto& verb =
    tree.verb(event, "send", "send an event to whatever agents want it",
              "holdfast event send --source shop --type order.paid --data '{\"order\": 17}'",
              [options](session& with) { return send_event(with, *options); });
  verb.add_option("--source", options->source, "where it is from (default: holdfast/cli)")
    ->option_text("S");
  verb.add_option("--type", options->type, "what happened")->required()->option_text("EV");
  verb.add_option("--data", options->data, "JSON, @FILE, or - for stdin")->option_text("JSON");
  verb
    .add_option("--id", options->id, "its id: source and id sent again count once (default: new)")
    ->option_text("ID");
  verb.add_option("--subject", options->subject, "what it is about")->option_text("TEXT");
  verb.add_option("--key", options->key, "idempotency key")->option_text("KEY");
}

struct event_list_options {
  std::string type;
  std::string source;
  list_options list;
};

void add_event_list(command_tree& tree, CLI::App& event) {
  auto options = std::make_shared<event_list_options>();
  auto& verb =
    tree.verb(event, "list", "events, newest first",
              "holdfast event list --type stripe.invoice.paid", [options](session& with) {
                api_path path{"/v1/events"};
                path.query("type", options->type).query("source", options->source);
                return show_list(with, path, view::event, options->list, list_size::newest_500);
              });
  verb.add_option("--type", options->type, "of this type")->option_text("EV");
  verb.add_option("--source", options->source, "from this source")->option_text("S");
  add_list_options(verb, options->list, list_size::newest_500);
}

void add_describe(command_tree& tree, CLI::App& event) {
  auto id = std::make_shared<std::string>();
  auto& verb = tree.verb(event, "describe", "one event and where it went",
                         "holdfast event describe evt_01j9", [id](session& with) {
                           api_path path{"/v1/events"};
                           path.segment(*id);
                           return show_document(with, path, view::event, false);
                         });
  verb.add_option("id", *id, "evt_…")->required()->option_text("ID");
}

}  // namespace

void add_event_verbs(command_tree& tree) {
  auto& event = tree.noun(tree.root(), "event", "send events, look at them, dead letters");
  add_send(tree, event);
  add_event_list(tree, event);
  add_describe(tree, event);
  tree.later(event, "replay", "deliver it again", "holdfast event replay evt_01j9");
  add_dead_letter_verbs(tree, event);
}

}  // namespace holdfast::cli
