#pragma once
// The file that API keys are kept in: read whole, replaced whole.

#include <filesystem>
#include <functional>

#include "runtime/host/api_keys.hpp"

namespace holdfast {

/// Reads it. Errors: `not_found` when it is not there, `io_failure`, `schema` with `file:line:
/// what` of the first problem; a file that everybody may write is refused.
result<std::vector<api_key>> read_key_file(const std::filesystem::path& file);

/// Replaces it by what `change` makes of its keys (none when it is not there), at once and durably,
/// mode 0600, its owner kept. Other processes that change it wait. Errors: as above, and what
/// `change` gives.
status change_key_file(const std::filesystem::path& file,
                       const std::function<status(std::vector<api_key>&)>& change);

/// `FILE:LINE:COLUMN: what`.
std::string place_of(const std::filesystem::path& file, const document_problem& problem);

}  // namespace holdfast
