#pragma once
// A folder of definitions, as `apply -f DIR` and `dev DIR` read it.

#include <filesystem>
#include <vector>

namespace holdfast::cli {

/// The files of the folder that hold definitions, sorted: *.yaml, *.yml and *.json but for what lies beside them
/// without being one (node settings, keys, the scripted model).
std::vector<std::filesystem::path> definition_files_in(const std::filesystem::path& folder);

}  // namespace holdfast::cli
