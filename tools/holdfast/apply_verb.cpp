// `apply`: definition files to the server, all or none.

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "tools/holdfast/command_tree.hpp"
#include "tools/holdfast/definition_folder.hpp"
#include "tools/holdfast/line_diff.hpp"
#include "tools/holdfast/yaml_writer.hpp"

namespace holdfast::cli {

namespace {

using json = nlohmann::ordered_json;
namespace fs = std::filesystem;

struct apply_options {
  std::vector<std::string> files;
  bool dry_run = false;
};

std::vector<fs::path> files_of(const std::vector<std::string>& arguments) {
  std::vector<fs::path> out;
  for (const auto& argument : arguments) {
    std::error_code error;
    if (!fs::is_directory(argument, error)) {
      out.emplace_back(argument);
      continue;
    }
    const auto found = definition_files_in(argument);
    if (found.empty())
      refuse_usage("no *.yaml, *.yml or *.json with definitions in " + argument);
    out.insert(out.end(), found.begin(), found.end());
  }
  return out;
}

std::string read_file(session& with, const fs::path& file) {
  if (file == "-")
    return {std::istreambuf_iterator<char>{with.host().in}, std::istreambuf_iterator<char>{}};
  std::ifstream in{file, std::ios::binary};
  std::error_code error;
  if (!in || fs::is_directory(file, error))
    refuse_usage("cannot read " + file.string());
  return {std::istreambuf_iterator<char>{in}, std::istreambuf_iterator<char>{}};
}

void print_change(session& with, const json& item, bool dry_run) {
  auto line = item.value("kind", "") + "/" + item.value("name", "");
  if (item.contains("version") && !item["version"].is_null())
    line += "@" + scalar_text(item["version"]);
  with.out().line(line + " " + item.value("change", ""));
  if (!dry_run)
    return;
  if (item.contains("diff") && item["diff"].is_string()) {
    with.out().raw(item["diff"].get<std::string>());
    return;
  }
  const auto text = [&](const char* field) {
    const auto value = item.value(field, json{});
    return value.is_null() ? std::string{} : to_yaml(value);
  };
  with.out().raw(line_diff(text("before"), text("after")));
}

exit_code apply(session& with, const apply_options& options) {
  json files = json::array();
  for (const auto& file : files_of(options.files))
    files.push_back({{"name", file.string()}, {"text", read_file(with, file)}});
  api_request request{.method = "PUT", .path = api_path{"/v1/definitions"}};
  if (options.dry_run)
    request.path.query("dry_run", "true");
  request.content_type = "application/vnd.holdfast.definitions+json";
  try {
    request.body = json{{"files", std::move(files)}}.dump();
  } catch (const json::type_error&) {
    refuse_usage("a definition file is not UTF-8");
  }
  const auto answer = with.api().call(request).document();
  if (with.out().is_for_people())
    for (const auto& item : answer.value("items", json::array()))
      print_change(with, item, options.dry_run);
  else if (with.out().format() == output_format::ids)
    for (const auto& item : answer.value("items", json::array()))
      with.out().line(item.value("kind", "") + "/" + item.value("name", ""));
  else
    with.out().describe(answer, with.now());
  return exit_code::done;
}

}  // namespace

void add_apply_verb(command_tree& tree) {
  auto options = std::make_shared<apply_options>();
  auto& verb = tree.verb(
    tree.root(), "apply", "make definitions current: all of them or, with an error in one, none",
    "holdfast apply -f agents/ --dry-run\nholdfast apply -f agents/support.yaml",
    [options](session& with) { return apply(with, *options); });
  verb
    .add_option("-f,--file", options->files,
                "a file, a folder (its *.yaml, *.yml, *.json), or - for stdin; may be repeated")
    ->required()
    ->option_text("FILE|DIR")
    ->allow_extra_args(false);
  verb.add_flag("--dry-run", options->dry_run, "check, and show what would change");
}

}  // namespace holdfast::cli
