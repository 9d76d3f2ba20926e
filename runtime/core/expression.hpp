#pragma once
// What the core knows of jq and JSON Schema: that they can be asked. The libraries live in `runtime/expression` and
// `runtime/definition`.

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "schemas/error.hpp"

namespace holdfast {

/// A compiled jq program. Immutable and thread-safe; every evaluation ends.
class expression {
public:
  virtual ~expression() = default;
  /// The first output as compact JSON text, `null` when there is none. Error `schema`: the program failed on this
  /// input, with jq's message.
  virtual result<std::string> evaluate(std::string_view json) const = 0;
};

/// A compiled JSON Schema. Immutable and thread-safe.
class json_validator {
public:
  virtual ~json_validator() = default;
  /// Error `schema`: `context` lists where and what, one per line: `/amount: expected integer`.
  virtual status validate(std::string_view json) const = 0;
};

/// How text becomes something that can be asked. Errors: `schema` with the reason, ready for a user.
struct compilers {
  std::function<result<std::shared_ptr<const expression>>(std::string_view program)> jq;
  std::function<result<std::shared_ptr<const json_validator>>(std::string_view schema)> json_schema;
};

/// jq's truth: everything but `null` and `false`.
inline bool is_true(std::string_view json) noexcept { return json != "null" && json != "false"; }

}  // namespace holdfast
