#include "tools/holdfast/definition_folder.hpp"

#include <algorithm>
#include <iterator>

namespace holdfast::cli {

namespace {

namespace fs = std::filesystem;

bool is_definition_file(const fs::path& file) {
  static constexpr const char* others[] = {"node", "keys", "script"};
  const auto extension = file.extension();
  if (extension != ".yaml" && extension != ".yml" && extension != ".json")
    return false;
  return std::none_of(std::begin(others), std::end(others),
                      [&](const char* name) { return file.stem() == name; });
}

}  // namespace

std::vector<fs::path> definition_files_in(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator{folder, error})
    if (entry.is_regular_file(error) && is_definition_file(entry.path()))
      found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace holdfast::cli
