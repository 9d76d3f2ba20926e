#pragma once
// jq's grammar as a recursive descent that writes the program again while it reads it. The parts of jq_translator.cpp,
// which with jq_terms.cpp alone includes this.

#include <algorithm>
#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/expression/jq.hpp"
#include "runtime/expression/jq_builtins.hpp"
#include "runtime/expression/jq_lexer.hpp"
#include "runtime/expression/jq_translator.hpp"
#include "schemas/error.hpp"

namespace holdfast::jq_grammar_parts {

using path_steps = std::vector<jq_path_step>;

/// A piece of the program that was read. `text` is a term of jq's grammar: anything may stand beside it.
struct node {
  std::string text;
  bool is_scalar = false;               ///< a literal number, string, true, false, null
  std::optional<std::string> string{};  ///< a literal string's value
  std::optional<path_steps> path{};     ///< `.a.b[0]` and nothing else
};

/// Thrown by the grammar, caught in `translate_jq`.
struct refused {
  holdfast::error why;
};

[[noreturn]] inline void refuse(std::size_t column, std::string_view what) {
  throw refused{jq_refusal(column, what)};
}

/// The value, charged once; what costs nothing to look at is not.
inline std::string charged(const node& value) {
  return value.is_scalar ? value.text : "(" + value.text + "|debug)";
}

struct binary_operator;
inline constexpr int precedence_lowest = 1;

class jq_grammar {
public:
  explicit jq_grammar(std::vector<jq_token> tokens) : tokens_(std::move(tokens)) {}
  translated_jq run();

private:
  // ---- tokens ------------------------------------------------------------------------------------------------------

  const jq_token& here() const noexcept { return tokens_[at_]; }
  const jq_token& next() const noexcept { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  bool is(jq_token_kind kind, std::string_view text) const noexcept;
  bool is_symbol(std::string_view text) const noexcept { return is(jq_token_kind::symbol, text); }
  bool is_keyword(std::string_view text) const noexcept { return is(jq_token_kind::keyword, text); }
  jq_token take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  bool accept(std::string_view symbol);
  void expect(std::string_view text, std::string_view where);
  std::string found() const;

  struct nesting {
    explicit nesting(jq_grammar& self) : self_(self) {
      if (++self_.depth_ > jq_limits::program_depth_max)
        refuse(self_.here().column, "nested too deep");
    }
    ~nesting() { --self_.depth_; }
    nesting(const nesting&) = delete;
    nesting& operator=(const nesting&) = delete;
    jq_grammar& self_;
  };

  // ---- expressions -------------------------------------------------------------------------------------------------

  node pipe();
  template <class Part>
  node piped(Part part) {
    auto out = part();
    if (!is_symbol("|"))
      return out;
    std::string text = "(" + out.text;
    while (accept("|")) {
      auto more = part();
      text += "|" + more.text;
      if (out.path && more.path)
        out.path->insert(out.path->end(), more.path->begin(), more.path->end());
      else
        out.path.reset();
    }
    return {text + ")", false, {}, std::move(out.path)};
  }
  node comma();
  const binary_operator* binary_here() const noexcept;
  node binary(int precedence_min);
  node combined(const binary_operator& op, const node& left, const node& right, std::size_t column);
  node arithmetic(std::string_view op, const node& left, const node& right);
  /// Only to a place that is written out: one step per evaluation, and no array grows by a number from the data.
  node assignment(std::string_view op, const node& left, const node& right, std::size_t column);
  node operand();
  node attempt();
  node binding(const node& source);

  // ---- patterns ----------------------------------------------------------------------------------------------------

  std::string pattern();
  std::string pattern_entry();
  std::string new_variable();

  // ---- terms -------------------------------------------------------------------------------------------------------

  node postfix();
  /// Reads one of `.name` `."text"` `[…]` `?`.
  bool suffix(node& out);
  static void add_step(node& out, jq_path_step step, const std::string& text);
  void add_key(node& out, const node& key);
  void bracket(node& out);
  void each(node& out);
  static std::optional<std::size_t> literal_index(const node& key);
  node primary();
  node with_suffix_step(const std::string& name);
  node number();
  node bracketed();
  [[noreturn]] static void misplaced(const jq_token& token);
  node variable();

  // ---- strings -----------------------------------------------------------------------------------------------------

  node literal_string();
  /// `ticks`: how often each interpolated value is charged.
  node string(unsigned ticks = 1);
  static std::string unescaped(const std::string& quoted, std::size_t column);
  node format();

  // ---- calls -------------------------------------------------------------------------------------------------------

  node call();
  static void check_name(const jq_token& name);
  node called(const jq_builtin& builtin, const std::vector<node>& arguments);
  node deletion(const jq_token& name);
  void use(std::string_view name) { used_.emplace(name); }

  // ---- objects and keywords ----------------------------------------------------------------------------------------

  node object();
  std::string entry();
  std::string entry_value();
  node keyword();
  node condition();
  node fold(bool with_extract);

  std::vector<jq_token> tokens_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
  std::size_t nodes_ = 0;
  std::vector<std::string> variables_;
  std::set<std::string, std::less<>> used_;
};

}  // namespace holdfast::jq_grammar_parts
