#include "runtime/expression/jq_translator.hpp"

#include <algorithm>
#include <array>

#include "runtime/expression/jq_grammar.hpp"

namespace holdfast {

namespace jq_grammar_parts {

enum class binary_kind { alternative, assignment, logic, comparison, sum, product };

struct binary_operator {
  std::string_view text;
  binary_kind kind;
  int precedence;
};

// libjq 1.6, src/parser.y. `//` is right associative, assignments and comparisons not at all.
constexpr auto binary_operators = std::to_array<binary_operator>({
  {"//", binary_kind::alternative, 1}, {"=", binary_kind::assignment, 2},
  {"|=", binary_kind::assignment, 2},  {"+=", binary_kind::assignment, 2},
  {"-=", binary_kind::assignment, 2},  {"*=", binary_kind::assignment, 2},
  {"/=", binary_kind::assignment, 2},  {"%=", binary_kind::assignment, 2},
  {"//=", binary_kind::assignment, 2}, {"or", binary_kind::logic, 3},
  {"and", binary_kind::logic, 4},      {"==", binary_kind::comparison, 5},
  {"!=", binary_kind::comparison, 5},  {"<", binary_kind::comparison, 5},
  {"<=", binary_kind::comparison, 5},  {">", binary_kind::comparison, 5},
  {">=", binary_kind::comparison, 5},  {"+", binary_kind::sum, 6},
  {"-", binary_kind::sum, 6},          {"*", binary_kind::product, 7},
  {"/", binary_kind::product, 7},      {"%", binary_kind::product, 7},
});
constexpr int precedence_product = 7;
constexpr std::size_t assigned_index_max = 10'000;

translated_jq jq_grammar::run() {
  auto program = pipe();
  if (here().kind != jq_token_kind::end)
    misplaced(here());
  translated_jq out;
  out.text = jq_prelude(
    [](std::string_view name, const void* self) {
      return static_cast<const jq_grammar*>(self)->used_.contains(name);
    },
    this);
  out.text += program.text;
  out.path = std::move(program.path);
  return out;
}

bool jq_grammar::is(jq_token_kind kind, std::string_view text) const noexcept {
  return here().kind == kind && here().text == text;
}

bool jq_grammar::accept(std::string_view symbol) {
  const bool found = is_symbol(symbol);
  if (found)
    take();
  return found;
}

void jq_grammar::expect(std::string_view text, std::string_view where) {
  if (!is_symbol(text) && !is_keyword(text))
    refuse(here().column, "expected `" + std::string{text} + "` " + std::string{where} + found());
  take();
}

std::string jq_grammar::found() const {
  return here().kind == jq_token_kind::end ? ", not the end"
                                           : ", not `" + std::string{here().text} + "`";
}

// ---- expressions ------------------------------------------------------------------------------------------------------

node jq_grammar::pipe() {
  const nesting guard{*this};
  return piped([this] { return comma(); });
}

node jq_grammar::comma() {
  auto out = binary(precedence_lowest);
  if (!is_symbol(","))
    return out;
  std::string text = "((" + out.text;
  while (accept(","))
    text += "," + binary(precedence_lowest).text;
  return {text + ")|debug)"};
}

const binary_operator* jq_grammar::binary_here() const noexcept {
  if (here().kind != jq_token_kind::symbol && here().kind != jq_token_kind::keyword)
    return nullptr;
  for (const auto& op : binary_operators)
    if (op.text == here().text)
      return &op;
  return nullptr;
}

node jq_grammar::binary(int precedence_min) {
  auto left = operand();
  while (const auto* op = binary_here()) {
    if (op->precedence < precedence_min)
      break;
    const auto column = take().column;
    const bool to_the_right = op->kind == binary_kind::alternative;
    auto right = binary(op->precedence + (to_the_right ? 0 : 1));
    left = combined(*op, left, right, column);
    const auto* after = binary_here();
    const bool alone = op->kind == binary_kind::assignment || op->kind == binary_kind::comparison;
    if (alone && after != nullptr && after->precedence == op->precedence)
      refuse(here().column, "`" + std::string{after->text} + "` after `" + std::string{op->text} +
                              "` needs brackets");
  }
  return left;
}

node jq_grammar::combined(const binary_operator& op, const node& left, const node& right,
                          std::size_t column) {
  const std::string symbol{op.text};
  switch (op.kind) {
    case binary_kind::alternative:
      return {"(" + left.text + "//" + right.text + ")"};
    case binary_kind::logic:
      return {"(" + left.text + " " + symbol + " " + right.text + ")"};
    case binary_kind::comparison:
      if (left.is_scalar || right.is_scalar)
        return {"(" + left.text + symbol + right.text + ")"};
      return {"(" + charged(left) + symbol + charged(right) + ")"};
    case binary_kind::sum:
    case binary_kind::product:
      return arithmetic(op.text, left, right);
    case binary_kind::assignment:
      return assignment(op.text, left, right, column);
  }
  return {};
}

node jq_grammar::arithmetic(std::string_view op, const node& left, const node& right) {
  if (op == "+")
    return {"(" + charged(left) + "+" + charged(right) + ")"};
  use(op == "-" ? "_minus" : op == "*" ? "_multiply" : op == "/" ? "_divide" : "_mod");
  return {"(" + left.text + std::string{op} + right.text + ")"};
}

node jq_grammar::assignment(std::string_view op, const node& left, const node& right,
                            std::size_t column) {
  if (!left.path)
    refuse(column, "only a plain path like .a.b can be assigned to; for elements use map(…)");
  for (const auto& step : *left.path)
    if (const auto* index = std::get_if<std::size_t>(&step);
        index != nullptr && *index > assigned_index_max)
      refuse(column,
             "an index that is assigned to is at most " + std::to_string(assigned_index_max));
  if (op == "=" || op == "|=")
    return {"(debug|" + left.text + std::string{op} + right.text + ")"};
  op.remove_suffix(1);
  const node old{"."};
  const node value{"$__v"};
  const auto updated = op == "//" ? node{"(.//$__v)"} : arithmetic(op, old, value);
  return {"(debug|" + right.text + " as $__v|" + left.text + "|=" + updated.text + ")"};
}

node jq_grammar::operand() {
  if (++nodes_ > jq_limits::program_nodes_max)
    refuse(here().column, "the program has too many parts");
  node out;
  if (accept("-")) {
    const auto value = binary(precedence_product);
    out = {"(-" + charged(value) + ")", value.is_scalar};
  } else if (is_keyword("try")) {
    out = attempt();
  } else {
    out = postfix();
    if (is_keyword("as"))
      return binding(out);
  }
  while (accept("?"))
    out = {"((" + out.text + ")?)"};
  return out;
}

node jq_grammar::attempt() {
  const nesting guard{*this};
  take();
  const auto body = operand();
  std::string text = "(try " + body.text;
  if (is_keyword("catch")) {
    take();
    text += " catch " + operand().text;
  }
  return {text + ")"};
}

node jq_grammar::binding(const node& source) {
  const nesting guard{*this};
  take();
  const auto scope = variables_.size();
  const auto what = pattern();
  if (is_symbol("?//"))
    refuse(here().column, "`?//` is not allowed");
  expect("|", "after `as` and its variables");
  const auto body = pipe();
  variables_.resize(scope);
  return {"(" + source.text + " as " + what + "|" + body.text + ")"};
}

// ---- control ----------------------------------------------------------------------------------------------------------

node jq_grammar::keyword() {
  const auto token = take();
  if (token.text == "if")
    return condition();
  if (token.text == "reduce" || token.text == "foreach")
    return fold(token.text == "foreach");
  if (token.text == "def")
    refuse(token.column, "`def` is not allowed: a function could call itself for ever");
  if (token.text == "import" || token.text == "include" || token.text == "module")
    refuse(token.column, "`" + std::string{token.text} +
                           "` is not allowed: " + std::string{jq_refusal_reason("env")});
  if (token.text == "label" || token.text == "break")
    refuse(token.column, "`" + std::string{token.text} + "` is not allowed; use first(f)");
  misplaced(token);
}

node jq_grammar::condition() {
  std::string text = "(if " + pipe().text;
  expect("then", "after the condition");
  text += " then " + pipe().text;
  while (is_keyword("elif")) {
    take();
    text += " elif " + pipe().text;
    expect("then", "after the condition");
    text += " then " + pipe().text;
  }
  if (is_keyword("else")) {
    take();
    text += " else " + pipe().text;
  } else {
    text += " else .";
  }
  expect("end", "to close `if`");
  return {text + " end)"};
}

node jq_grammar::fold(bool with_extract) {
  const auto source = postfix();
  expect("as", "after what is iterated over");
  const auto scope = variables_.size();
  const auto what = pattern();
  std::vector<std::string> own{variables_.begin() + static_cast<std::ptrdiff_t>(scope),
                               variables_.end()};
  variables_.resize(scope);
  expect("(", "after the variables");
  std::string text = "(" + std::string{with_extract ? "foreach " : "reduce "} + source.text +
                     " as " + what + "(" + pipe().text;
  expect(";", "after the first value");
  variables_.insert(variables_.end(), own.begin(), own.end());
  text += ";" + pipe().text;
  if (with_extract && accept(";"))
    text += ";" + pipe().text;
  expect(")", "to close it");
  variables_.resize(scope);
  return {text + "))"};
}

// ---- patterns ---------------------------------------------------------------------------------------------------------

std::string jq_grammar::pattern() {
  const nesting guard{*this};
  if (accept("$"))
    return "$" + new_variable();
  if (accept("[")) {
    std::string text = "[" + pattern();
    while (accept(","))
      text += "," + pattern();
    expect("]", "after a pattern");
    return text + "]";
  }
  if (!accept("{"))
    refuse(here().column, "expected $name, [ … ] or { … } after `as`" + found());
  std::string text = "{" + pattern_entry();
  while (accept(","))
    text += "," + pattern_entry();
  expect("}", "after a pattern");
  return text + "}";
}

std::string jq_grammar::pattern_entry() {
  if (accept("$")) {
    const auto name = new_variable();
    return "$" + name + (accept(":") ? ":" + pattern() : "");
  }
  std::string key;
  if (here().kind == jq_token_kind::identifier || here().kind == jq_token_kind::keyword)
    key = "\"" + std::string{take().text} + "\"";
  else if (here().kind == jq_token_kind::string_start)
    key = literal_string().text;
  else
    refuse(here().column, "expected a name in the pattern" + found());
  expect(":", "after a name in a pattern");
  return key + ":" + pattern();
}

std::string jq_grammar::new_variable() {
  const auto name = here();
  if (name.kind != jq_token_kind::identifier || name.text.find(':') != std::string_view::npos)
    refuse(name.column, "expected a name after `$`" + found());
  if (name.text.starts_with("__") || name.text == "ENV")
    refuse(name.column, "`$" + std::string{name.text} + "` cannot be a variable's name");
  take();
  variables_.emplace_back(name.text);
  return std::string{name.text};
}

}  // namespace jq_grammar_parts

result<translated_jq> translate_jq(std::string_view program) {
  if (program.size() > jq_limits::program_bytes_max)
    return error{errc::schema, "jq: the program is longer than " +
                                 std::to_string(jq_limits::program_bytes_max) + " bytes"};
  const auto control = std::find_if(program.begin(), program.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' && c != '\r') ||
           c == 0x7f;
  });
  if (control != program.end())
    return jq_refusal(static_cast<std::size_t>(control - program.begin()) + 1,
                      "control characters are not allowed");
  auto tokens = lex_jq(program);
  if (!tokens)
    return tokens.error();
  try {
    return jq_grammar_parts::jq_grammar{std::move(*tokens)}.run();
  } catch (const jq_grammar_parts::refused& r) {
    return r.why;
  }
}

}  // namespace holdfast
