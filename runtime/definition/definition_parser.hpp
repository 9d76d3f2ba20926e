#pragma once
// Definition files (INTERFACE §2): YAML or JSON text → checked definitions and their canonical JSON.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/expression.hpp"
#include "schemas/definition.hpp"
#include "schemas/error.hpp"

namespace holdfast {

/// One thing wrong with one file, ready for a user.
struct definition_problem {
  std::string file;
  std::size_t line = 0;      ///< from 1; 0: not known (canonical JSON)
  std::size_t column = 0;    ///< from 1
  std::string pointer;       ///< RFC 6901, into the document: `/tools/1/http/url`
  errc code = errc::schema;  ///< schema, not_available, malformed, too_deep, too_large
  std::string message;
  bool operator==(const definition_problem&) const = default;
};

/// `agent.yaml:7:3: unknown key …`; without the parts that are not known.
std::string to_string(const definition_problem& problem);

struct parsed_definition {
  std::string kind;                 ///< `agent`, `hook`
  std::string name;                 ///< the agent's type, the hook's source
  holdfast::definition definition;  ///< version 0
  /// What is stored and compared: JSON of what was written (with `kind`), keys sorted, spellings unified, no defaults.
  std::string canonical_json;
  std::size_t line = 0;  ///< of the document in its file
};

/// Either definitions or problems, never both: a file with a problem applies nothing.
struct [[nodiscard]] parsed_definitions {
  std::vector<parsed_definition> items;
  std::vector<definition_problem> problems;  ///< in order of position
  explicit operator bool() const noexcept { return problems.empty(); }
};

/// Reads every document of `text`; reports all problems of the file. `file_name` is only for messages.
parsed_definitions parse_definitions(std::string_view text, std::string_view file_name,
                                     const compilers& with);

/// The first problem's code (`not_available` only when it is the code of all) and all problems, one per line.
error to_error(const std::vector<definition_problem>& problems);

/// Reads canonical JSON back. jq and schemas are not compiled (`compile` in the catalog does). Errors: `corrupt`.
result<definition> definition_from_json(std::string_view kind, std::string_view canonical_json);

/// Names used in `${secret:NAME}` by the definition's tools or by the hook, sorted, each once.
std::vector<std::string> secrets_used(const definition& def);

}  // namespace holdfast
