#pragma once
// The `pattern` of JSON Schema in time that grows with the text and never explodes: an ECMAScript regular expression
// without back references and look-around, run as a set of states (Thompson 1968; Cox, "Regular Expression Matching Can
// Be Simple And Fast"). std::regex, which valijson would use, backtracks and recurses once per character.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "schemas/error.hpp"

namespace holdfast {

class text_pattern {
public:
  static constexpr std::size_t pattern_bytes_max = 512;
  static constexpr std::size_t states_max = 2'000;
  static constexpr std::size_t work_max = 20'000'000;  ///< states × characters

  /// Errors: `schema`: not a pattern, or one of what is left out.
  static result<text_pattern> compile(std::string_view pattern);

  /// True when some part of `text` (UTF-8) matches, as with `RegExp.test`. Thread-safe. False too for a text that is
  /// too long to be looked at (`is_too_long`).
  bool found_in(std::string_view text) const;
  bool is_too_long(std::string_view text) const noexcept {
    return text.size() > work_max / program_.size();
  }

private:
  friend class text_pattern_parser;
  enum class step : std::uint8_t {
    character,
    split,
    jump,
    line_start,
    line_end,
    word_edge,
    no_word_edge,
    match
  };
  using ranges = std::vector<std::pair<char32_t, char32_t>>;
  struct instruction {
    step what = step::match;
    std::uint32_t to = 0;     ///< split, jump
    std::uint32_t other = 0;  ///< split
    std::uint32_t set = 0;    ///< character: index into `sets_`
  };
  struct place {
    bool at_start, at_end, word_before, word_after;
  };
  void add(std::vector<std::uint32_t>& states, std::vector<std::uint32_t>& seen,
           std::uint32_t round, std::uint32_t state, const place& where) const;
  static bool contains(const ranges& set, char32_t c) noexcept;

  std::vector<instruction> program_;
  std::vector<ranges> sets_;
};

}  // namespace holdfast
