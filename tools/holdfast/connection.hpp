#pragma once
// Which server to talk to, and as whom: flag, then variable, then the context file.

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "schemas/error.hpp"

namespace holdfast::cli {

/// The value of an environment variable; nothing when unset.
using variable_lookup = std::function<std::optional<std::string>(const char* name)>;

struct connection {
  std::string server = "http://127.0.0.1:7070";  ///< without a trailing slash
  std::string token;                             ///< empty: none is sent. Never printed.
  std::string ca_file;                           ///< PEM, besides the system's; empty: none
};

/// What the command line says; nothing where it is silent.
struct connection_flags {
  std::optional<std::string> server = {};
  std::optional<std::string> token = {};
  std::optional<std::string> ca_file = {};
  std::optional<std::string> context = {};
};

/// `$XDG_CONFIG_HOME/holdfast/config.yaml`, else `~/.config/holdfast/config.yaml`; empty without a
/// home.
std::string context_file_path(const variable_lookup& variable);

/// The three sources by precedence. `file_text` is the content of the context file, nothing when
/// there is none:
///
///     current: prod
///     contexts:
///       prod: { server: "https://holdfast.example.com", token_file: /run/token, ca: ca.pem }
///       home: { server: "http://127.0.0.1:7070", token: … }
///
/// The context is `--context`, else HOLDFAST_CONTEXT, else `current`; one named by `--context`
/// counts before HOLDFAST_SERVER, HOLDFAST_TOKEN and HOLDFAST_CA. A token from the file is only sent
/// to the server beside it. Errors: `malformed` (file), `not_found` (context), `schema` (URL,
/// unknown key).
result<connection> resolve_connection(const connection_flags& flags,
                                      const variable_lookup& variable,
                                      const std::optional<std::string>& file_text);

}  // namespace holdfast::cli
