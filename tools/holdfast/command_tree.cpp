#include "tools/holdfast/command_tree.hpp"

#include <algorithm>

#include "runtime/expression/nearest_name.hpp"

namespace holdfast::cli {

namespace {

/// `: did you mean list?`, or nothing.
std::string suggestion(std::string_view word, const std::vector<std::string>& candidates) {
  const std::vector<std::string_view> views(candidates.begin(), candidates.end());
  const auto near = nearest_name(word, views);
  return near.empty() ? std::string{} : ": did you mean " + std::string{near} + "?";
}

std::string commands_of(const CLI::App& noun) {
  std::string out;
  for (const auto* each : noun.get_subcommands({}))
    out += (out.empty() ? "" : ", ") + each->get_name();
  return out;
}

constexpr const char* globals_footer =
  "\nGlobal options, before or after the verb: --server URL, --token TOKEN, --context NAME,\n"
  "-o table|json|yaml|ids|wide, --no-color (see holdfast --help)";

constexpr const char* commands_group = "Commands";
constexpr const char* later_group = "Not available in this release";

/// Positionals by what they are, `T/K`, not by an inner name.
class formatter : public CLI::Formatter {
public:
  std::string make_option_name(const CLI::Option* option, bool is_positional) const override {
    return is_positional ? option->get_option_text()
                         : CLI::Formatter::make_option_name(option, is_positional);
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    return option->get_positional() ? std::string{} : CLI::Formatter::make_option_opts(option);
  }
};

std::string example_text(const std::string& example) {
  auto text = "Example:\n  " + example;
  for (auto at = text.find('\n', 10); at != std::string::npos; at = text.find('\n', at + 1))
    text.insert(at + 1, "  ");
  return text + "\n";
}

void add_global_options(CLI::App& root, global_options& into) {
  root
    .add_option("--server", into.connection.server,
                "server to talk to (HOLDFAST_SERVER; default http://127.0.0.1:7070)")
    ->option_text("URL");
  root.add_option("--token", into.connection.token, "API key (HOLDFAST_TOKEN)")
    ->option_text("TOKEN");
  root
    .add_option("--context", into.connection.context,
                "server and token by name, from ~/.config/holdfast/config.yaml (HOLDFAST_CONTEXT)")
    ->option_text("NAME");
  root.add_option("--ca", into.connection.ca_file, "trust this CA too (PEM; HOLDFAST_CA)")
    ->option_text("FILE");
  root.add_option("-o,--output", into.output, "table, json, yaml, ids or wide")
    ->option_text("FORMAT")
    ->check(CLI::IsMember({"table", "json", "yaml", "ids", "wide"}));
  root.add_flag("--no-color,--no-colour", into.no_colour, "no colours (NO_COLOR)");
  for (auto* option : root.get_options())
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

}  // namespace

command_tree::command_tree()
  : root_("Holdfast keeps AI agents alive: every event, answer and timer is on disk first.",
          "holdfast") {
  root_.fallthrough();
  root_.require_subcommand(1);
  const auto format = std::make_shared<formatter>();
  format->label("OPTIONS", "options");
  format->label("SUBCOMMAND", "COMMAND");
  format->label("Positionals", "Arguments");
  format->column_width(34);
  root_.formatter(format);
  add_global_options(root_, globals_);
  root_.footer(
    "Example:\n  holdfast init demo && holdfast dev demo\n"
    "  holdfast agent send support/ada --data '{\"text\": \"hello\"}' --wait 30s\n\n"
    "Exit codes: 0 done, 1 failed, 2 usage, 3 not authorised, 4 not found, 5 conflict or refused,\n"
    "6 unavailable or still open, 130 interrupted");
  add_node_verbs(*this);
  add_init_verb(*this);
  add_apply_verb(*this);
  add_agent_verbs(*this);
  add_run_verbs(*this);
  add_event_verbs(*this);
  add_type_verbs(*this);
  add_reconcile_verbs(*this);
  add_auth_verbs(*this);
  add_audit_verbs(*this);
  add_cluster_verbs(*this);
  add_member_verbs(*this);
  add_later_verbs(*this);
  add_doctor_verb(*this);
  add_version_verb(*this);
  add_completion_verb(*this);
}

CLI::App& command_tree::noun(CLI::App& parent, const std::string& name, const std::string& what) {
  auto& added = *parent.add_subcommand(name, what);
  added.require_subcommand(1);
  added.group(commands_group);
  added.footer("Example:\n  " + words_of(added) + " --help\n" + globals_footer);
  return added;
}

CLI::App& command_tree::verb(CLI::App& parent, const std::string& name, const std::string& what,
                             const std::string& example, action run) {
  auto& added = *parent.add_subcommand(name, what);
  added.group(commands_group);
  added.footer(example_text(example) + globals_footer);
  added.callback([this, run = std::move(run)] { chosen_ = run; });
  return added;
}

void command_tree::later(CLI::App& parent, const std::string& name, const std::string& what,
                         const std::string& example) {
  auto& added = *parent.add_subcommand(name, what);
  added.group(later_group);
  added.fallthrough(false);
  added.allow_extras();
  added.footer(example_text(example) + "\nNot available in this release: exits with 5.\n" +
               globals_footer);
  added.callback([this, words = words_of(added).substr(9)] {
    chosen_ = [words](session&) -> exit_code {
      throw command_failure{exit_code::refused, words + ": not available in this release"};
    };
  });
}

CLI::App& command_tree::later_noun(CLI::App& parent, const std::string& name,
                                   const std::string& what) {
  auto& added = noun(parent, name, what);
  added.group(later_group);
  return added;
}

action command_tree::parse(const std::vector<std::string>& arguments) {
  chosen_ = nullptr;
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  root_.parse(std::move(reversed));
  return chosen_;
}

const CLI::App& command_tree::deepest() const {
  const CLI::App* at = &root_;
  while (!at->get_subcommands().empty())
    at = at->get_subcommands().back();
  return *at;
}

std::string command_tree::parsed_words() const { return words_of(deepest()); }

std::string command_tree::explain(const CLI::ParseError& error) const {
  const auto& at = deepest();
  const auto extras = root_.remaining(true);
  if (extras.empty() && at.get_subcommands({}).empty())
    return error.what();
  if (extras.empty())
    return "`" + words_of(at) + "` needs a command: " + commands_of(at);
  const auto& extra = extras.front();
  std::vector<std::string> candidates;
  if (extra.starts_with('-')) {
    for (const auto* app = &at; app != nullptr; app = app->get_parent())
      for (const auto* option : app->get_options())
        for (const auto& name : option->get_lnames())
          candidates.push_back("--" + name);
    return "unknown option " + extra + suggestion(extra.substr(0, extra.find('=')), candidates);
  }
  for (const auto* each : at.get_subcommands({}))
    candidates.push_back(each->get_name());
  if (candidates.empty())
    return "unexpected argument `" + extra + "`";
  return "unknown command `" + extra + "`" + suggestion(extra, candidates);
}

std::string words_of(const CLI::App& command) {
  const auto* parent = command.get_parent();
  return parent == nullptr ? command.get_name() : words_of(*parent) + " " + command.get_name();
}

}  // namespace holdfast::cli
