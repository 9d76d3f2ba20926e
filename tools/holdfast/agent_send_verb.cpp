// `agent send`: one event, and whatever of its run the user waits for.

#include <algorithm>
#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "schemas/units.hpp"
#include "tools/holdfast/command_tree.hpp"
#include "tools/holdfast/interrupt.hpp"
#include "tools/holdfast/json_input.hpp"
#include "tools/holdfast/run_printer.hpp"

namespace holdfast::cli {

namespace {

using json = nlohmann::ordered_json;
using steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds wait_max{300'000};  // of one request; longer waits take several

struct send_options {
  std::string agent;
  std::string data;
  std::string type;
  std::string key;
  std::string wait;
  bool follow = false;
};

std::optional<milliseconds> parse_wait(const std::string& text) {
  if (text.empty())
    return std::nullopt;
  const auto ms = parse_duration_ms(text);
  if (!ms)
    refuse_usage("--wait: " + ms.error().context);
  return milliseconds{*ms};
}

/// `data` goes out as it was written: large numbers stay what they are.
std::string body_of(const send_options& options, const std::string& data) {
  std::string body = "{";
  if (!options.type.empty())
    body += "\"type\":" + json(options.type).dump() + ",";
  return body + "\"data\":" + (data.empty() ? "null" : data) + "}";
}

milliseconds milliseconds_until(steady::time_point deadline) {
  const auto left = std::chrono::duration_cast<milliseconds>(deadline - steady::now());
  return std::max(left, milliseconds{0});
}

std::string run_of(const json& document) {
  const auto run = document.find("run_id");
  return run != document.end() && run->is_string() ? run->get<std::string>() : std::string{};
}

/// Prints a run that has ended: its output alone, or with `-o` the whole document.
exit_code print_ended(session& with, const json& run) {
  const auto status = run.value("status", "");
  const auto output = run.value("output", json{});
  if (with.out().settings().format_given && with.out().format() != output_format::table)
    with.out().describe(run, with.now());
  else if (!output.is_null())
    with.out().line(scalar_text(output));
  if (status == "completed")
    return exit_code::done;
  const auto error = run.value("error", json{});
  auto message = "run " + run_of(run) + " " + status;
  if (error.is_object())
    message += ": " + error.value("code", "") + ": " + error.value("message", "");
  command_failure failure{exit_code::failed, message};
  if (status == "failed")
    failure.details.push_back("holdfast run retry " + run_of(run));
  throw failure;
}

[[noreturn]] void still_open(const json& accepted, std::string_view waited,
                             const std::string& key) {
  const auto run = run_of(accepted);
  if (run.empty())
    throw command_failure{exit_code::unavailable, "accepted as " + accepted.value("event_id", "") +
                                                    ", but no run has started: waiting for " +
                                                    accepted.value("pending", "its turn")};
  command_failure failure{exit_code::unavailable,
                          "run " + run + " is still open after " + std::string{waited}};
  failure.details.push_back("holdfast run stream " + run);
  if (!key.empty())
    failure.details.push_back("or the same command with --key " + key + " to wait on");
  throw failure;
}

/// One event on its way: what is sent again and again is byte for byte the same request.
class delivery {
public:
  delivery(session& with, const send_options& options)
    : with_(with), agent_(parse_agent(options.agent)), options_(options) {
    if (!options.data.empty())
      data_ = read_json_text(options.data, "--data", with.host().in);
  }

  /// Posts; the server answers at once, or with `wait` when the run has ended.
  api_response post(std::optional<milliseconds> wait) const {
    api_request request{.method = "POST", .path = agent_path(agent_, "/events")};
    if (wait) {
      request.path.query("wait", format_duration_ms(wait->count()));
      request.answer_timeout += *wait;
    }
    request.content_type = "application/json";
    request.body = body_of(options_, data_);
    if (!key_.empty())
      request.headers.emplace_back("Idempotency-Key", key_);
    return with_.api().call(request);
  }

  /// Waits for the run to end. Longer waits and lost connections take another request with the same
  /// idempotency key, which joins the first.
  exit_code send_and_wait(milliseconds wait) {
    key_ = options_.key.empty() ? new_idempotency_key() : options_.key;
    const auto deadline = steady::now() + wait;
    say_on_interrupt("\nholdfast: interrupted; the same command with --key " + key_ +
                     " waits on without sending twice\n");
    bool sent_before = false;
    bool told = false;
    for (auto left = wait;; left = milliseconds_until(deadline)) {
      try {
        const auto answer = post(std::min(left, wait_max));
        const auto document = answer.document();
        if (answer.status == 200)
          return print_ended(with_, document);
        if (steady::now() + retry_pause >= deadline)
          still_open(document, options_.wait, key_);
      } catch (const command_failure& failure) {
        // Sent once, the run may well go on: a node that restarts or drains is no reason to stop
        // waiting.
        const bool joins = failure.code == exit_code::unavailable && failure.http_status != 429 &&
                           (sent_before || failure.may_have_arrived);
        if (!joins || steady::now() + retry_pause >= deadline)
          throw;
        if (!told)
          with_.out().say("trying again: " + failure.message);
        told = true;
      }
      sent_before = true;
      std::this_thread::sleep_for(retry_pause);
    }
  }

  /// Prints the run while it is worked on.
  exit_code send_and_follow(std::optional<milliseconds> wait) {
    key_ = options_.key;
    const auto accepted = post(std::nullopt).document();
    const auto run = run_of(accepted);
    if (run.empty())
      still_open(accepted, options_.wait, {});
    say_on_interrupt("\nholdfast: run " + run + " goes on: holdfast run stream " + run + "\n");
    follow_options options;
    if (wait)
      options.deadline = steady::now() + *wait;
    options.say = [this](std::string_view line) { with_.out().say(line); };
    const bool json_lines = !with_.out().is_for_people();
    run_printer printer{with_};
    std::optional<exit_code> end;
    with_.api().follow(run_path(run, "/stream"), options, [&](const net::sse_event& event) {
      if (json_lines)
        with_.out().json_line(stream_line(event));
      else
        printer.print(event);
      if (ends_run(event.type))
        end = event.type == "run.completed" ? exit_code::done : exit_code::failed;
      return end ? follow_step::stop : follow_step::go_on;
    });
    if (!end)
      still_open(accepted, options_.wait, {});
    return *end;
  }

  exit_code send() {
    key_ = options_.key;
    const auto accepted = post(std::nullopt).document();
    with_.out().document(accepted, view::acceptance, with_.now());
    return exit_code::done;
  }

private:
  static constexpr milliseconds retry_pause{250};

  session& with_;
  agent_address agent_;
  const send_options& options_;
  std::string data_;
  std::string key_;
};

exit_code run_send(session& with, const send_options& options) {
  const auto wait = parse_wait(options.wait);
  delivery event{with, options};
  if (options.follow)
    return event.send_and_follow(wait);
  return wait ? event.send_and_wait(*wait) : event.send();
}

}  // namespace

void add_agent_send_verb(command_tree& tree, CLI::App& agent) {
  auto options = std::make_shared<send_options>();
  auto& verb =
    tree.verb(agent, "send", "send it an event",
              "holdfast agent send support/cus_42 --data '{\"text\": \"hello\"}' --wait 30s\n"
              "holdfast agent send support/cus_42 --data @order.json --key order-17 --follow",
              [options](session& with) { return run_send(with, *options); });
  verb.add_option("agent", options->agent, "type/key")->required()->option_text("T/K");
  verb.add_option("--data", options->data, "JSON, @FILE, or - for stdin")->option_text("JSON");
  verb.add_option("--type", options->type, "type of the event")->option_text("EV");
  verb
    .add_option("--key", options->key,
                "idempotency key: sent again with the same key, the event counts once")
    ->option_text("KEY");
  verb
    .add_option("--wait", options->wait,
                "wait so long for the run to end and print its output (exit 6: still open)")
    ->option_text("D");
  verb.add_flag("--follow", options->follow,
                "print text as it comes; tool calls and times on stderr; -o json: JSON lines");
}

}  // namespace holdfast::cli
