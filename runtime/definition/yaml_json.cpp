#include "runtime/definition/yaml_json.hpp"

#include <nlohmann/json.hpp>

#include "runtime/host/config_document.hpp"

namespace holdfast {

result<std::string> yaml_to_json(std::string_view yaml) {
  const auto parsed = parse_documents(yaml);
  if (!parsed.problems.empty()) {
    const auto& first = parsed.problems.front();
    return error{first.code, std::to_string(first.line) + ":" + std::to_string(first.column) +
                               ": " + first.message};
  }
  if (parsed.documents.size() > 1)
    return error{errc::malformed,
                 "one YAML document is expected, not " + std::to_string(parsed.documents.size())};
  return parsed.documents.empty() ? std::string{"null"} : to_json(parsed.documents.front()).dump();
}

}  // namespace holdfast
