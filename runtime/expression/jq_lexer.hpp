#pragma once
// jq's tokens, as libjq 1.6 cuts them (src/lexer.l). Pure text; knows nothing of what is allowed.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/error.hpp"

namespace holdfast {

enum class jq_token_kind : std::uint8_t {
  end,
  identifier,  ///< also `a::b`
  keyword,  ///< if then else elif end and or try catch reduce foreach as def import include module label break …
  field,    ///< `.name`; `text` is the name
  number,
  format,        ///< `@json`; `text` with the `@`
  string_start,  ///< the opening quote
  string_text,   ///< raw, escapes as written
  interpolation_start,
  interpolation_end,
  string_end,
  symbol,  ///< `.` `..` `?` `?//` `==` `|=` `$` `(` …
};

struct jq_token {
  jq_token_kind kind = jq_token_kind::end;
  std::string_view text;   ///< points into the program
  std::size_t column = 0;  ///< from 1, in bytes
};

/// All tokens, `end` last. Errors: `schema` with the column.
result<std::vector<jq_token>> lex_jq(std::string_view program);

/// A refusal at a place of the program.
error jq_refusal(std::size_t column, std::string_view what);

}  // namespace holdfast
