#include "tools/holdfast/session.hpp"

#include <fstream>
#include <iostream>
#include <sstream>

namespace holdfast::cli {

namespace {

console_settings settings_for(const command_host& host, const global_options& options) {
  console_settings settings;
  settings.format = output_format_from(options.output).value_or(output_format::table);
  settings.format_given = !options.output.empty();
  settings.data_is_terminal = host.out_is_terminal;
  settings.talk_is_terminal = host.err_is_terminal;
  settings.columns = host.out_is_terminal ? host.columns : 0;
  const auto no_colour = host.variable("NO_COLOR");
  settings.colour = host.out_is_terminal && !options.no_colour &&
                    (!no_colour || no_colour->empty()) && host.variable("TERM") != "dumb";
  return settings;
}

std::optional<std::string> read_context_file(const command_host& host) {
  const auto path = context_file_path(host.variable);
  std::ifstream file{path};
  if (path.empty() || !file)
    return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

session::session(command_host& host, const global_options& options)
  : host_(host), options_(options), out_(host.out, host.err, settings_for(host, options)) {}

api_client& session::api() { return api_at({}); }

api_client& session::api_at(const std::string& url) {
  if (api_)
    return *api_;
  auto flags = options_.connection;
  if (!url.empty())
    flags.server = url;
  auto to = resolve_connection(flags, host_.variable, read_context_file(host_));
  if (!to)
    refuse_usage(to.error().context);
  if (host_.exit_on_interrupt)
    host_.exit_on_interrupt();
  try {
    api_ = std::make_unique<api_client>(std::move(*to));
  } catch (const std::exception& e) {
    refuse_usage(std::string{"cannot set up TLS: "} + e.what());
  }
  return *api_;
}

bool session::confirm(const std::string& question, bool yes) {
  if (yes || !host_.in_is_terminal || !host_.err_is_terminal)
    return true;
  host_.err << question << " [y/N] " << std::flush;
  std::string answer;
  std::getline(host_.in, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

}  // namespace holdfast::cli
