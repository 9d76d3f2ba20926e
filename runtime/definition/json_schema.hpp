#pragma once
// JSON Schema, through valijson: draft 7, bounded. What is left out and why: README.md.

#include <cstddef>
#include <memory>
#include <string_view>

#include "runtime/core/expression.hpp"
#include "schemas/error.hpp"

namespace holdfast {

struct json_schema_limits {
  static constexpr std::size_t schema_bytes_max = 64 * 1024;
  static constexpr std::size_t schema_depth_max = 48;
  static constexpr std::size_t schema_parts_max =
    10'000;  ///< subschemas, each `$ref` counted with what it refers to
  static constexpr std::size_t document_bytes_max = 1024 * 1024;
  static constexpr std::size_t document_depth_max = 128;
  static constexpr std::size_t work_max =
    10'000'000;  ///< values of the document × parts of the schema
  static constexpr std::size_t problems_max = 16;  ///< listed per document
};

/// Checks and compiles `schema` (JSON text). Nothing is ever fetched: a `$ref` that does not begin with `#/` is refused,
/// and so is one that leads back to itself. The result is immutable and may be shared by threads. Errors: `schema`, one
/// problem per line with its pointer into the schema.
/// Its `validate` errs with `schema` (one `pointer: what` per line), `malformed`, `too_deep`, `too_large`.
result<std::shared_ptr<const json_validator>> compile_json_schema(std::string_view schema);

}  // namespace holdfast
