// `completion`: shell scripts made from the parser itself, so that they cannot go out of date.

#include "tools/holdfast/command_tree.hpp"

namespace holdfast::cli {

namespace {

/// One command: its words without `holdfast`, and what may follow.
struct completions {
  std::string path;                                          ///< `agent list`; empty for the root
  std::vector<std::pair<std::string, std::string>> words;    ///< name, description
  std::vector<std::pair<std::string, std::string>> options;  ///< `--name`, description
};

std::vector<std::pair<std::string, std::string>> options_of(const CLI::App& app) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto* option : app.get_options()) {
    for (const auto& name : option->get_lnames())
      out.emplace_back("--" + name, option->get_description());
    for (const auto& name : option->get_snames())
      out.emplace_back("-" + name, option->get_description());
  }
  return out;
}

void collect(std::vector<completions>& out, const CLI::App& app, const std::string& path) {
  completions here{path, {}, options_of(app)};
  for (const auto* sub : app.get_subcommands({}))
    here.words.emplace_back(sub->get_name(), sub->get_description());
  out.push_back(std::move(here));
  for (const auto* sub : app.get_subcommands({}))
    collect(out, *sub, path.empty() ? sub->get_name() : path + " " + sub->get_name());
}

std::string joined(const std::vector<std::pair<std::string, std::string>>& names) {
  std::string out;
  for (const auto& [name, what] : names)
    out += (out.empty() ? "" : " ") + name;
  return out;
}

/// For single quotes, without what a shell could take for syntax.
std::string description_text(const std::string& text) {
  std::string out;
  for (const char c : text)
    if (std::string_view{"'\\[]`$"}.find(c) == std::string_view::npos)
      out += c;
  return out;
}

std::string bash_script(const std::vector<completions>& all) {
  std::string out =
    "# holdfast completion for bash: source <(holdfast completion bash)\n"
    "_holdfast() {\n"
    "  local word path='' words='' options='' globals='" +
    joined(all.front().options) +
    "'\n"
    "  local current=\"${COMP_WORDS[COMP_CWORD]}\" i\n"
    "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "    word=\"${COMP_WORDS[i]}\"\n"
    "    case \"${path:+$path }$word\" in\n";
  for (const auto& each : all)
    if (!each.path.empty())
      out += "      '" + each.path + "') path='" + each.path + "' ;;\n";
  out +=
    "    esac\n"
    "  done\n"
    "  case \"$path\" in\n";
  for (const auto& each : all)
    out += "    '" + each.path + "') words='" + joined(each.words) + "'; options='" +
           joined(each.options) + "' ;;\n";
  out +=
    "  esac\n"
    "  if [[ $current == -* ]]; then\n"
    "    COMPREPLY=($(compgen -W \"$options $globals\" -- \"$current\"))\n"
    "  elif [[ -n $words ]]; then\n"
    "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
    "  else\n"
    "    COMPREPLY=()\n"
    "  fi\n"
    "}\n"
    "complete -o default -F _holdfast holdfast\n";
  return out;
}

std::string zsh_script(const std::vector<completions>& all) {
  std::string out =
    "#compdef holdfast\n"
    "# holdfast completion for zsh: holdfast completion zsh > \"${fpath[1]}/_holdfast\"\n"
    "_holdfast() {\n"
    "  local path_='' word i\n"
    "  local -a found options\n"
    "  for ((i = 2; i < CURRENT; i++)); do\n"
    "    word=\"${words[i]}\"\n"
    "    case \"${path_:+$path_ }$word\" in\n";
  for (const auto& each : all)
    if (!each.path.empty())
      out += "      '" + each.path + "') path_='" + each.path + "' ;;\n";
  out +=
    "    esac\n"
    "  done\n"
    "  case \"$path_\" in\n";
  const auto list = [](const std::vector<std::pair<std::string, std::string>>& names) {
    std::string text;
    for (const auto& [name, what] : names)
      text += " '" + name + ":" + description_text(what) + "'";
    return text;
  };
  for (const auto& each : all)
    out += "    '" + each.path + "') found=(" + list(each.words) + " ); options=(" +
           list(each.options) + " ) ;;\n";
  out +=
    "  esac\n"
    "  options+=(" +
    list(all.front().options) +
    " )\n"
    "  if [[ ${words[CURRENT]} == -* ]]; then\n"
    "    _describe 'option' options\n"
    "  elif (( ${#found} )); then\n"
    "    _describe 'command' found\n"
    "  else\n"
    "    _files\n"
    "  fi\n"
    "}\n"
    "if [ \"$funcstack[1]\" = _holdfast ]; then _holdfast \"$@\"; else compdef _holdfast holdfast; "
    "fi\n";
  return out;
}

std::string fish_script(const std::vector<completions>& all) {
  std::string out =
    "# holdfast completion for fish: holdfast completion fish | source\n"
    "function __holdfast_path\n"
    "  set -l path\n"
    "  for word in (commandline -opc)[2..-1]\n"
    "    switch \"$path $word\"\n";
  for (const auto& each : all)
    if (!each.path.empty())
      out += "      case '" + (each.path.find(' ') == std::string::npos ? " " : std::string{}) +
             each.path + "'\n        set path '" + each.path + "'\n";
  out +=
    "    end\n"
    "  end\n"
    "  echo $path\n"
    "end\n"
    "complete -c holdfast -e\n";
  for (const auto& each : all) {
    const auto condition = each.path.empty() ? "test -z (__holdfast_path)"
                                             : "test (__holdfast_path) = \"" + each.path + "\"";
    for (const auto& [name, what] : each.words)
      out += "complete -c holdfast -f -n '" + condition + "' -a " + name + " -d '" +
             description_text(what) + "'\n";
    for (const auto& [name, what] : each.options)
      out += "complete -c holdfast" +
             (each.path.empty() ? std::string{} : " -n '" + condition + "'") +
             (name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1)) +
             " -d '" + description_text(what) + "'\n";
  }
  return out;
}

}  // namespace

void add_completion_verb(command_tree& tree) {
  auto& noun = tree.noun(tree.root(), "completion", "a completion script for a shell");
  const auto add = [&](const std::string& shell, const std::string& example,
                       std::string (*script)(const std::vector<completions>&)) {
    tree.verb(noun, shell, "for " + shell, example, [&tree, script](session& with) {
      std::vector<completions> all;
      collect(all, tree.root(), {});
      with.out().raw(script(all));
      return exit_code::done;
    });
  };
  add("bash", "source <(holdfast completion bash)", bash_script);
  add("zsh", "holdfast completion zsh > \"${fpath[1]}/_holdfast\"", zsh_script);
  add("fish", "holdfast completion fish | source", fish_script);
}

}  // namespace holdfast::cli
