#pragma once
// Environment variables as plain data, and `.env` files for `dev`.

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "schemas/error.hpp"

namespace holdfast {

using environment = std::map<std::string, std::string, std::less<>>;

/// A copy of the process's variables. Not thread-safe against `setenv`: called once, at start.
environment process_environment();

/// `KEY=VALUE` lines, `export ` in front allowed, `#` comments, values bare, in '…' (as they stand) or in "…" (with
/// \n \t \" \\ \$). Nothing is expanded. Errors: `schema` with the line; never the value.
result<environment> parse_env_file(std::string_view text, std::string_view file_name);

}  // namespace holdfast
