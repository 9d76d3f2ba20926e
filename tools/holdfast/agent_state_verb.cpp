// `agent state`: the memory of an agent, looked at, patched, edited.

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "tools/holdfast/command_tree.hpp"
#include "tools/holdfast/json_input.hpp"

namespace holdfast::cli {

namespace {

using json = nlohmann::ordered_json;

constexpr int patch_attempts = 3;  // of --set, when the state changes in between

struct state_options {
  std::string agent;
  std::vector<std::string> set;
  std::string if_match;
  bool edit = false;
};

struct state_read {
  json state;
  std::string etag;
};

state_read read_state(session& with, const api_path& path) {
  const auto answer = with.api().call({.method = "GET", .path = path});
  const auto document = answer.document();
  state_read read{document.value("state", json::object()), std::string{answer.header("ETag")}};
  if (read.etag.empty() && document.contains("seq"))
    read.etag = "\"" + document["seq"].dump() + "\"";
  return read;
}

json patch_state(session& with, const api_path& path, const json& patch, const std::string& etag) {
  api_request request{.method = "PATCH", .path = path};
  request.content_type = "application/merge-patch+json";
  request.body = patch.dump();
  request.headers.emplace_back("If-Match", etag);
  return with.api().call(request).document();
}

exit_code set_state(session& with, const api_path& path, const state_options& options) {
  const auto patch = read_merge_patch(options.set, with.host().in);
  for (int attempt = 1;; ++attempt) {
    auto etag = options.if_match;
    if (etag.empty())
      etag = read_state(with, path).etag;
    else if (etag.front() != '"')
      etag = "\"" + etag + "\"";
    try {
      with.out().describe(patch_state(with, path, patch, etag), with.now());
      return exit_code::done;
    } catch (const command_failure& failure) {
      const bool changed_meanwhile = failure.http_status == 412 && options.if_match.empty();
      if (!changed_meanwhile || attempt == patch_attempts)
        throw;
    }
  }
}

/// A file of our own for the editor; removed unless `keep`.
class edited_file {
public:
  explicit edited_file(const std::string& text) {
    const auto* folder = std::getenv("TMPDIR");
    name_ = std::string{folder == nullptr ? "/tmp" : folder} + "/holdfast-state-XXXXXX.json";
    const int handle = mkstemps(name_.data(), 5);
    if (handle < 0)
      throw command_failure{exit_code::failed, "cannot make a file for the editor in " + name_};
    close(handle);
    std::ofstream{name_} << text;
  }
  ~edited_file() {
    if (!kept_)
      std::remove(name_.c_str());
  }
  edited_file(const edited_file&) = delete;
  edited_file& operator=(const edited_file&) = delete;

  const std::string& name() const { return name_; }
  void keep() { kept_ = true; }
  std::string text() const {
    std::ifstream file{name_};
    return {std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}};
  }

private:
  std::string name_;
  bool kept_ = false;
};

exit_code edit_state(session& with, const api_path& path) {
  const auto before = read_state(with, path);
  edited_file file{before.state.dump(2) + "\n"};
  if (!with.host().edit(file.name()))
    throw command_failure{exit_code::failed, "the editor did not end well: nothing done"};
  const auto after = json::parse(file.text(), nullptr, false);
  if (!after.is_object()) {
    file.keep();
    refuse_usage("not a JSON object: nothing done; your text is in " + file.name());
  }
  const auto patch = merge_patch_between(before.state, after);
  if (patch.empty()) {
    with.out().say("nothing changed");
    return exit_code::done;
  }
  try {
    with.out().describe(patch_state(with, path, patch, before.etag), with.now());
  } catch (command_failure& failure) {
    file.keep();
    failure.details.push_back("your text is in " + file.name());
    throw;
  }
  return exit_code::done;
}

exit_code show_state(session& with, const api_path& path) {
  const auto document = with.api().get(path);
  if (with.out().is_for_people())
    with.out().line(document.value("state", json::object()).dump(2));
  else
    with.out().describe(document, with.now());
  return exit_code::done;
}

}  // namespace

void add_agent_state_verb(command_tree& tree, CLI::App& agent) {
  auto options = std::make_shared<state_options>();
  auto& verb = tree.verb(agent, "state", "what it remembers; change it with --set or --edit",
                         "holdfast agent state thermostat/attic\n"
                         "holdfast agent state thermostat/attic --set '{\"readings\": 0}'\n"
                         "holdfast agent state thermostat/attic --edit",
                         [options](session& with) {
                           const auto path = agent_path(parse_agent(options->agent), "/state");
                           if (options->edit)
                             return edit_state(with, path);
                           return options->set.empty() ? show_state(with, path)
                                                       : set_state(with, path, *options);
                         });
  verb.add_option("agent", options->agent, "type/key")->required()->option_text("T/K");
  auto* set = verb.add_option("--set", options->set,
                              "merge this: a JSON object (null removes), @FILE, or field=VALUE");
  set->option_text("PATCH")->allow_extra_args(false);
  verb
    .add_option("--if-match", options->if_match, "with --set: only if its state is at this number")
    ->option_text("SEQ")
    ->needs(set);
  verb.add_flag("--edit", options->edit, "in $VISUAL or $EDITOR")->excludes(set);
}

}  // namespace holdfast::cli
