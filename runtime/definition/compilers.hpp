#pragma once
// The real jq and JSON Schema, bundled for `compile` and `parse_definitions`.

#include "runtime/core/expression.hpp"

namespace holdfast {

compilers standard_compilers();

}  // namespace holdfast
