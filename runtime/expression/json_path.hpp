#pragma once
// The value at `.a.b[0]`, cut out of JSON text as it stands: no copy of the document, no number that loses digits.

#include <string>
#include <string_view>
#include <vector>

#include "runtime/expression/jq_translator.hpp"
#include "schemas/error.hpp"

namespace holdfast {

/// Compact JSON text, `null` when there is none; of equal names the last counts, as in jq. Thread-safe. Errors:
/// `schema` (`Cannot index number with "a"`), `malformed` (as far as it was looked at), `too_deep`.
result<std::string> value_at(std::string_view json, const std::vector<jq_path_step>& path);

}  // namespace holdfast
