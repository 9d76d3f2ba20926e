#pragma once
// Reads a jq program, refuses what is not allowed, and writes it again so that it counts its own work: `debug`, which
// passes its input on and calls back, stands wherever a step's cost depends on the size of a value (README.md).

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "schemas/error.hpp"

namespace holdfast {

/// A field or a place in an array.
using jq_path_step = std::variant<std::string, std::size_t>;

struct translated_jq {
  std::string text;  ///< for libjq
  /// Set when the program is nothing but `.a.b[0]`: such a path needs no libjq.
  std::optional<std::vector<jq_path_step>> path;
};

/// Errors: `schema` with the column.
result<translated_jq> translate_jq(std::string_view program);

}  // namespace holdfast
