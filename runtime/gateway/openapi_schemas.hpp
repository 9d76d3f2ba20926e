#pragma once
// The schemas of the documents, for openapi.json.

#include <span>
#include <string_view>

namespace holdfast {

struct api_schema {
  std::string_view name;
  std::string_view json;  ///< JSON Schema 2020-12
};

std::span<const api_schema> api_schemas() noexcept;

/// The media types that a request schema comes in, separated by spaces.
std::string_view media_types_of(std::string_view schema) noexcept;

}  // namespace holdfast
