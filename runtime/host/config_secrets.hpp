#pragma once
// Secrets by name (DESIGN §8): from a variable or a file named in the configuration, else HOLDFAST_SECRET_<NAME>.

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <variant>

#include "runtime/host/config_environment.hpp"
#include "schemas/error.hpp"

namespace holdfast {

/// Where a secret's value is: the name of a variable, or a file.
struct secret_from_env {
  std::string variable;
  bool operator==(const secret_from_env&) const = default;
};
struct secret_from_file {
  std::filesystem::path path;
  bool operator==(const secret_from_file&) const = default;
};
using secret_source = std::variant<secret_from_env, secret_from_file>;

/// Immutable and thread-safe. Files are read at every call, so that a rotated secret is used at once. Values reach
/// nobody but the caller: no message contains one.
class secret_store {
public:
  secret_store(std::map<std::string, secret_source, std::less<>> sources, environment env);

  /// The value, without one newline at its end. Errors: `not_found` (says which variable to set), `io_failure`
  /// (file), `too_large` (64 KiB), `schema` (empty, or not a secret's name).
  result<std::string> secret(std::string_view name) const;

private:
  std::map<std::string, secret_source, std::less<>> sources_;
  environment env_;
};

/// `[a-z][a-z0-9-]{0,62}`, and `_` is allowed too.
bool is_secret_name(std::string_view name) noexcept;

/// `HOLDFAST_SECRET_BILLING_API` for `billing-api`.
std::string secret_variable(std::string_view name);

}  // namespace holdfast
