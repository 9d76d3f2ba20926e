#pragma once
// jq, through libjq: the one expression language (DESIGN §7). What is allowed and how every evaluation is bounded:
// runtime/expression/README.md.

#include <cstddef>
#include <memory>
#include <string_view>

#include "runtime/core/expression.hpp"
#include "schemas/error.hpp"

namespace holdfast {

/// What one program and one evaluation may use. Beyond them: a refusal, never a crash and never a hang.
struct jq_limits {
  static constexpr std::size_t program_bytes_max = 4 * 1024;
  static constexpr std::size_t program_depth_max = 64;   ///< of nested brackets
  static constexpr std::size_t program_nodes_max = 512;  ///< terms
  static constexpr std::size_t input_bytes_max = 1024 * 1024;
  static constexpr std::size_t input_brackets_max =
    100'000;  ///< `{` and `[` in it: a small value takes 400 bytes
  static constexpr std::size_t output_bytes_max = 1024 * 1024;
  static constexpr std::size_t value_depth_max = 256;  ///< of nested arrays and objects
  static constexpr std::size_t work_max = 1'000'000;   ///< values touched or built, see README.md
};

/// Checks `program` against the allow-list and compiles it. The result may be shared by threads; equal programs that
/// are alive at once share one compiled state. Takes milliseconds: at load, not per event. Errors: `schema` with the
/// column and, for a name that is not allowed, the nearest that is.
/// Its `evaluate` errs with `too_large` (input or output over the limit), `malformed` (input is not JSON), `too_deep`,
/// `limit_exceeded` (work) and `schema` (jq's own message).
result<std::shared_ptr<const expression>> compile_jq(std::string_view program);

}  // namespace holdfast
