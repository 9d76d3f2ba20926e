#include "tools/holdfast/connection.hpp"

#include <fstream>
#include <nlohmann/json.hpp>

#include "runtime/definition/yaml_json.hpp"
#include "runtime/net/url.hpp"

namespace holdfast::cli {

namespace {

using json = nlohmann::ordered_json;

/// The flag, else the variable; an empty one was not given.
std::optional<std::string> given(std::optional<std::string> flag,
                                 std::optional<std::string> variable) {
  if (flag && !flag->empty())
    return flag;
  return variable && !variable->empty() ? variable : std::nullopt;
}

error bad_file(const std::string& what) {
  return {errc::malformed, "~/.config/holdfast/config.yaml: " + what};
}

result<std::string> read_token(const std::string& path) {
  std::ifstream file{path};
  std::string token;
  if (!file || !std::getline(file, token))
    return error{errc::not_found, "cannot read the token file " + path};
  return token;
}

/// One context of the file.
result<connection> read_context(const std::string& name, const json& fields) {
  if (!fields.is_object())
    return bad_file("context " + name + " must be a mapping with `server`");
  connection found;
  found.server.clear();
  std::string token_file;
  for (const auto& [key, value] : fields.items()) {
    if (!value.is_string())
      return bad_file("context " + name + ": `" + key + "` must be a string");
    const auto& text = value.get_ref<const std::string&>();
    if (key == "server")
      found.server = text;
    else if (key == "token")
      found.token = text;
    else if (key == "token_file")
      token_file = text;
    else if (key == "ca")
      found.ca_file = text;
    else
      return error{errc::schema, "~/.config/holdfast/config.yaml: context " + name +
                                   " has no key `" + key +
                                   "`: it takes server, token, token_file, ca"};
  }
  if (!token_file.empty()) {
    auto token = read_token(token_file);
    if (!token)
      return token.error();
    found.token = std::move(*token);
  }
  return found;
}

result<std::optional<connection>> chosen_context(const std::optional<std::string>& wanted,
                                                 const std::optional<std::string>& file_text) {
  json file = json::object();
  if (file_text) {
    auto text = yaml_to_json(*file_text);
    if (!text)
      return bad_file(text.error().context);
    file = json::parse(*text, nullptr, false);
    if (file.is_null())
      file = json::object();
    if (!file.is_object())
      return bad_file("must be a mapping with `contexts` and `current`");
  }
  auto name = wanted;
  if (!name && file.contains("current") && file["current"].is_string())
    name = file["current"].get<std::string>();
  if (!name)
    return std::optional<connection>{};
  if (!file.contains("contexts") || !file["contexts"].is_object() ||
      !file["contexts"].contains(*name))
    return error{errc::not_found, "no context `" + *name + "` in ~/.config/holdfast/config.yaml"};
  auto found = read_context(*name, file["contexts"][*name]);
  if (!found)
    return found.error();
  return std::optional{std::move(*found)};
}

status normalise_server(std::string& server) {
  if (server.find("://") == std::string::npos)
    server = "http://" + server;
  while (server.ends_with('/'))
    server.pop_back();
  net::url_failure why{};
  if (!net::parse_url(server, &why))
    return error{errc::schema, "`" + server + "` is no server URL (" + std::string{net::name(why)} +
                                 "): write http://127.0.0.1:7070"};
  return ok_status();
}

}  // namespace

std::string context_file_path(const variable_lookup& variable) {
  if (auto config = variable("XDG_CONFIG_HOME"); config && !config->empty())
    return *config + "/holdfast/config.yaml";
  if (auto home = variable("HOME"); home && !home->empty())
    return *home + "/.config/holdfast/config.yaml";
  return {};
}

result<connection> resolve_connection(const connection_flags& flags,
                                      const variable_lookup& variable,
                                      const std::optional<std::string>& file_text) {
  connection out;
  const auto server =
    given(flags.server, flags.context ? std::nullopt : variable("HOLDFAST_SERVER"));
  const auto wanted = given(flags.context, variable("HOLDFAST_CONTEXT"));
  // A broken file is no reason to fail when nothing in it would count.
  if (!server || flags.context) {
    auto context = chosen_context(wanted, file_text);
    if (!context)
      return context.error();
    if (*context && !(*context)->server.empty())
      out.server = (*context)->server;
    if (*context && (!server || *server == out.server)) {
      out.token = (*context)->token;
      out.ca_file = (*context)->ca_file;
    }
  }
  if (server)
    out.server = *server;
  const bool file_token_first = flags.context && !out.token.empty();
  const auto token =
    given(flags.token, file_token_first ? std::nullopt : variable("HOLDFAST_TOKEN"));
  if (token)
    out.token = *token;
  const bool file_ca_first = flags.context && !out.ca_file.empty();
  if (const auto ca = given(flags.ca_file, file_ca_first ? std::nullopt : variable("HOLDFAST_CA")))
    out.ca_file = *ca;
  if (auto done = normalise_server(out.server); !done)
    return done.error();
  return out;
}

}  // namespace holdfast::cli
