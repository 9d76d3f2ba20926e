#pragma once
// The allow-list: which of jq's builtins a program may call, and how each is made to pay for its work (README.md).

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace holdfast {

/// What a builtin's arguments are.
enum class jq_arguments : std::uint8_t {
  none,
  closures,  ///< run for each element: they pay for themselves
  values,    ///< looked at by the builtin: paid for
};

/// What it wants as its input.
enum class jq_input : std::uint8_t {
  any,
  items,  ///< an array, or an object, which is turned into the array of its values
  list,   ///< an array
};

struct jq_builtin {
  std::string_view name;
  std::size_t arity = 0;
  jq_arguments arguments = jq_arguments::none;
  unsigned input_ticks = 0;   ///< how often the size of the input is charged
  unsigned output_ticks = 0;  ///< likewise of each output
  jq_input input = jq_input::any;
};

/// Null when it is not allowed with so many arguments.
const jq_builtin* find_jq_builtin(std::string_view name, std::size_t arity) noexcept;

/// True when it is allowed with another number of arguments.
bool is_jq_builtin(std::string_view name) noexcept;

/// All allowed names, sorted, each once.
std::span<const std::string_view> jq_builtin_names();

/// Why a name that people will try is not allowed and what to write instead; empty when there is nothing special.
std::string_view jq_refusal_reason(std::string_view name) noexcept;

bool is_jq_format(std::string_view name) noexcept;  ///< `@json` …
std::span<const std::string_view> jq_format_names() noexcept;

/// Definitions that stand in front of the program in place of the builtins of the same name, for what could take time
/// or memory that its input does not show, or could crash libjq 1.6. `used` tells whether a name is called.
std::string jq_prelude(bool (*used)(std::string_view name, const void* context),
                       const void* context);

}  // namespace holdfast
