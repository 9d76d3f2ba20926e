#pragma once
// YAML text as JSON text, for files that are neither definitions nor node settings: scripts, CLI contexts.

#include <string>
#include <string_view>

#include "schemas/error.hpp"

namespace holdfast {

/// One document. Bounded like every YAML that is read here: size, depth, aliases. Errors: `malformed`, `too_large`,
/// `too_deep`, with line and column.
result<std::string> yaml_to_json(std::string_view yaml);

}  // namespace holdfast
