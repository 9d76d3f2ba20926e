#include "runtime/expression/jq_translator.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "runtime/expression/jq.hpp"
#include "runtime/expression/jq_builtins.hpp"
#include "runtime/expression/jq_lexer.hpp"
#include "runtime/expression/nearest_name.hpp"

namespace holdfast {

namespace {

using path_steps = std::vector<jq_path_step>;

/// A piece of the program that was read. `text` is a term of jq's grammar: anything may stand beside it.
struct node {
  std::string text;
  bool is_scalar = false;           ///< a literal number, string, true, false, null
  std::optional<std::string> string{};  ///< a literal string's value
  std::optional<path_steps> path{};   ///< `.a.b[0]` and nothing else
};

/// Thrown inside this file only.
struct refused {
  holdfast::error why;
};

[[noreturn]] void refuse(std::size_t column, std::string_view what) { throw refused{jq_refusal(column, what)}; }

enum class binary_kind { alternative, assignment, logic, comparison, sum, product };

struct binary_operator {
  std::string_view text;
  binary_kind kind;
  int precedence;
};

// libjq 1.6, src/parser.y. `//` is right associative, assignments and comparisons not at all.
constexpr auto binary_operators = std::to_array<binary_operator>({
  {"//", binary_kind::alternative, 1},
  {"=", binary_kind::assignment, 2},
  {"|=", binary_kind::assignment, 2},
  {"+=", binary_kind::assignment, 2},
  {"-=", binary_kind::assignment, 2},
  {"*=", binary_kind::assignment, 2},
  {"/=", binary_kind::assignment, 2},
  {"%=", binary_kind::assignment, 2},
  {"//=", binary_kind::assignment, 2},
  {"or", binary_kind::logic, 3},
  {"and", binary_kind::logic, 4},
  {"==", binary_kind::comparison, 5},
  {"!=", binary_kind::comparison, 5},
  {"<", binary_kind::comparison, 5},
  {"<=", binary_kind::comparison, 5},
  {">", binary_kind::comparison, 5},
  {">=", binary_kind::comparison, 5},
  {"+", binary_kind::sum, 6},
  {"-", binary_kind::sum, 6},
  {"*", binary_kind::product, 7},
  {"/", binary_kind::product, 7},
  {"%", binary_kind::product, 7},
});
constexpr int precedence_lowest = 1;
constexpr int precedence_product = 7;
constexpr std::size_t assigned_index_max = 10'000;

/// The value, charged once; what costs nothing to look at is not.
std::string charged(const node& value) { return value.is_scalar ? value.text : "(" + value.text + "|debug)"; }

class translator {
public:
  explicit translator(std::vector<jq_token> tokens) : tokens_(std::move(tokens)) {}

  translated_jq run() {
    auto program = pipe();
    if (here().kind != jq_token_kind::end)
      misplaced(here());
    translated_jq out;
    out.text = jq_prelude([](std::string_view name, const void* self) {
      return static_cast<const translator*>(self)->used_.contains(name);
    }, this);
    out.text += program.text;
    out.path = std::move(program.path);
    return out;
  }

private:
  // ---- tokens ------------------------------------------------------------------------------------------------------

  const jq_token& here() const noexcept { return tokens_[at_]; }
  const jq_token& next() const noexcept { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  bool is(jq_token_kind kind, std::string_view text) const noexcept {
    return here().kind == kind && here().text == text;
  }
  bool is_symbol(std::string_view text) const noexcept { return is(jq_token_kind::symbol, text); }
  bool is_keyword(std::string_view text) const noexcept { return is(jq_token_kind::keyword, text); }
  jq_token take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  bool accept(std::string_view symbol) {
    const bool found = is_symbol(symbol);
    if (found)
      take();
    return found;
  }
  void expect(std::string_view text, std::string_view where) {
    if (!is_symbol(text) && !is_keyword(text))
      refuse(here().column, "expected `" + std::string{text} + "` " + std::string{where} + found());
    take();
  }
  std::string found() const {
    return here().kind == jq_token_kind::end ? ", not the end" : ", not `" + std::string{here().text} + "`";
  }

  struct nesting {
    explicit nesting(translator& self) : self_(self) {
      if (++self_.depth_ > jq_limits::program_depth_max)
        refuse(self_.here().column, "nested too deep");
    }
    ~nesting() { --self_.depth_; }
    nesting(const nesting&) = delete;
    nesting& operator=(const nesting&) = delete;
    translator& self_;
  };

  // ---- expressions -------------------------------------------------------------------------------------------------

  node pipe() {
    const nesting guard{*this};
    return piped([this] { return comma(); });
  }

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

  node comma() {
    auto out = binary(precedence_lowest);
    if (!is_symbol(","))
      return out;
    std::string text = "((" + out.text;
    while (accept(","))
      text += "," + binary(precedence_lowest).text;
    return {text + ")|debug)"};
  }

  const binary_operator* binary_here() const noexcept {
    if (here().kind != jq_token_kind::symbol && here().kind != jq_token_kind::keyword)
      return nullptr;
    for (const auto& op : binary_operators)
      if (op.text == here().text)
        return &op;
    return nullptr;
  }

  node binary(int precedence_min) {
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
        refuse(here().column, "`" + std::string{after->text} + "` after `" + std::string{op->text} + "` needs brackets");
    }
    return left;
  }

  node combined(const binary_operator& op, const node& left, const node& right, std::size_t column) {
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

  node arithmetic(std::string_view op, const node& left, const node& right) {
    if (op == "+")
      return {"(" + charged(left) + "+" + charged(right) + ")"};
    use(op == "-" ? "_minus" : op == "*" ? "_multiply" : op == "/" ? "_divide" : "_mod");
    return {"(" + left.text + std::string{op} + right.text + ")"};
  }

  /// Only to a place that is written out: one step per evaluation, and no array grows by a number from the data.
  node assignment(std::string_view op, const node& left, const node& right, std::size_t column) {
    if (!left.path)
      refuse(column, "only a plain path like .a.b can be assigned to; for elements use map(…)");
    for (const auto& step : *left.path)
      if (const auto* index = std::get_if<std::size_t>(&step); index != nullptr && *index > assigned_index_max)
        refuse(column, "an index that is assigned to is at most " + std::to_string(assigned_index_max));
    if (op == "=" || op == "|=")
      return {"(debug|" + left.text + std::string{op} + right.text + ")"};
    op.remove_suffix(1);
    const node old{"."};
    const node value{"$__v"};
    const auto updated = op == "//" ? node{"(.//$__v)"} : arithmetic(op, old, value);
    return {"(debug|" + right.text + " as $__v|" + left.text + "|=" + updated.text + ")"};
  }

  node operand() {
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

  node attempt() {
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

  node binding(const node& source) {
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

  // ---- patterns ----------------------------------------------------------------------------------------------------

  std::string pattern() {
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

  std::string pattern_entry() {
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

  std::string new_variable() {
    const auto name = here();
    if (name.kind != jq_token_kind::identifier || name.text.find(':') != std::string_view::npos)
      refuse(name.column, "expected a name after `$`" + found());
    if (name.text.starts_with("__") || name.text == "ENV")
      refuse(name.column, "`$" + std::string{name.text} + "` cannot be a variable's name");
    take();
    variables_.emplace_back(name.text);
    return std::string{name.text};
  }

  // ---- terms -------------------------------------------------------------------------------------------------------

  node postfix() {
    auto out = primary();
    while (suffix(out)) {
    }
    return out;
  }

  /// Reads one of `.name` `."text"` `[…]` `?`.
  bool suffix(node& out) {
    const bool dotted = is_symbol(".") && next().kind == jq_token_kind::string_start;
    const bool dotted_bracket = is_symbol(".") && next().kind == jq_token_kind::symbol && next().text == "[";
    if (here().kind == jq_token_kind::field) {
      const std::string name{take().text};
      add_step(out, name, "." + name);
    } else if (dotted) {
      take();
      add_key(out, string());
    } else if (is_symbol("[") || dotted_bracket) {
      if (dotted_bracket)
        take();
      bracket(out);
    } else {
      return false;
    }
    if (accept("?")) {
      out.text = out.text.back() == ')' ? "((" + out.text + ")?)" : out.text + "?";
      out.path.reset();
    }
    return true;
  }

  static void add_step(node& out, jq_path_step step, const std::string& text) {
    if (out.path)
      out.path->push_back(std::move(step));
    out.text = out.text == "." && text.front() == '.' ? text : out.text + text;
    out.is_scalar = false;
    out.string.reset();
  }

  void add_key(node& out, const node& key) {
    if (key.string)
      return add_step(out, *key.string, "[" + key.text + "]");
    use("__index");
    out = {out.text + "[(" + key.text + "|__index)]"};
  }

  void bracket(node& out) {
    expect("[", "");
    const std::string container = "(" + out.text + "|debug)";
    if (accept("]"))
      return each(out);
    if (accept(":")) {
      const auto last = pipe();
      expect("]", "after a slice");
      out = {container + "[:" + last.text + "]"};
      return;
    }
    const auto key = pipe();
    if (accept(":")) {
      const std::string last = is_symbol("]") ? "" : pipe().text;
      expect("]", "after a slice");
      out = {container + "[" + key.text + ":" + last + "]"};
      return;
    }
    expect("]", "after an index");
    if (const auto index = literal_index(key))
      add_step(out, *index, "[" + key.text + "]");
    else if (key.is_scalar && !key.string)
      out = {out.text + "[" + key.text + "]"};
    else
      add_key(out, key);
  }

  void each(node& out) {
    const std::string name = accept("?") ? "__each_opt" : "__each";
    use(name);
    out = {"(" + out.text + "|" + name + ")"};
  }

  static std::optional<std::size_t> literal_index(const node& key) {
    const auto& text = key.text;  // numbers are written in brackets
    if (!key.is_scalar || text.size() < 3 || text.size() > 9 || text.front() != '(')
      return std::nullopt;
    std::size_t index = 0;
    for (const char c : std::string_view{text}.substr(1, text.size() - 2)) {
      if (c < '0' || c > '9')
        return std::nullopt;
      index = index * 10 + static_cast<std::size_t>(c - '0');
    }
    return index;
  }

  node primary() {
    const auto token = here();
    switch (token.kind) {
      case jq_token_kind::field:
        take();
        return with_suffix_step(std::string{token.text});
      case jq_token_kind::number:
        return number();
      case jq_token_kind::string_start:
        return string();
      case jq_token_kind::format:
        return format();
      case jq_token_kind::identifier:
        return call();
      case jq_token_kind::keyword:
        return keyword();
      case jq_token_kind::symbol:
        return bracketed();
      default:
        refuse(token.column, token.kind == jq_token_kind::end ? "the program ends too early" : "unexpected text");
    }
  }

  node with_suffix_step(const std::string& name) {
    node out{".", false, {}, path_steps{}};
    add_step(out, name, "." + name);
    if (accept("?")) {
      out.text += "?";
      out.path.reset();
    }
    return out;
  }

  node number() {
    const auto token = take();
    const auto text = token.text;
    if (std::count(text.begin(), text.end(), '.') > 1 || text.size() > 32)
      refuse(token.column, "`" + std::string{text} + "` is not a number");
    return {"(" + std::string{text} + ")", true};
  }

  node bracketed() {
    const auto token = take();
    if (token.text == ".") {
      if (here().kind != jq_token_kind::string_start)
        return {".", false, {}, path_steps{}};
      node out{".", false, {}, path_steps{}};
      add_key(out, string());
      return out;
    }
    if (token.text == "$")
      return variable();
    if (token.text == "(") {
      auto out = pipe();
      expect(")", "to close the bracket");
      return out;
    }
    if (token.text == "[") {
      if (accept("]"))
        return {"[]"};
      const auto inner = pipe();
      expect("]", "to close the array");
      return {"([" + inner.text + "]|debug)"};
    }
    if (token.text == "{")
      return object();
    if (token.text == "..")
      refuse(token.column, "`..` is not allowed: " + std::string{jq_refusal_reason("recurse")});
    misplaced(token);
  }

  [[noreturn]] static void misplaced(const jq_token& token) {
    if (token.text == "&&" || token.text == "||")
      refuse(token.column, token.text == "&&" ? "write `and`" : "write `or`");
    refuse(token.column, "`" + std::string{token.text} + "` does not belong here");
  }

  node variable() {
    const auto name = here();
    if (name.kind == jq_token_kind::identifier && name.text == "ENV")
      refuse(name.column, "`$ENV` is not allowed: " + std::string{jq_refusal_reason("env")});
    if (name.kind != jq_token_kind::identifier)
      refuse(name.column, "`$" + std::string{name.text} + "` is not allowed");
    if (std::find(variables_.begin(), variables_.end(), name.text) == variables_.end()) {
      const auto wanted = "$" + std::string{name.text};
      std::vector<std::string> known;
      for (const auto& variable : variables_)
        known.push_back("$" + variable);
      const std::vector<std::string_view> names{known.begin(), known.end()};
      refuse(name.column, "`" + wanted + "` is not defined" + did_you_mean(wanted, names));
    }
    take();
    return {"$" + std::string{name.text}};
  }

  // ---- strings -----------------------------------------------------------------------------------------------------

  node literal_string() {
    const auto column = here().column;
    auto out = string();
    if (!out.string)
      refuse(column, "this text must be plain, without \\(…)");
    return out;
  }

  /// `ticks`: how often each interpolated value is charged.
  node string(unsigned ticks = 1) {
    const auto column = take().column;
    node out{"\"", true, std::string{}};
    while (here().kind != jq_token_kind::string_end) {
      if (here().kind == jq_token_kind::string_text) {
        const auto text = take().text;
        out.text += text;
        if (out.string)
          *out.string += text;
        continue;
      }
      if (here().kind != jq_token_kind::interpolation_start)
        refuse(here().column, "unexpected text in a string");
      take();
      out.text += "\\((" + pipe().text;
      for (unsigned i = 0; i < ticks; ++i)
        out.text += "|debug";
      out.text += "))";
      if (here().kind != jq_token_kind::interpolation_end)
        refuse(here().column, "expected `)` to close \\(…" + found());
      take();
      out.string.reset();
      out.is_scalar = false;
    }
    take();
    out.text += "\"";
    if (out.string && out.string->find('\\') != std::string::npos)
      out.string = unescaped(out.text, column);
    return out;
  }

  static std::string unescaped(const std::string& quoted, std::size_t column) {
    std::string json;
    for (const char c : quoted)
      json += c == '\n' ? "\\n" : c == '\t' ? "\\t" : c == '\r' ? "\\r" : std::string(1, c);
    const auto value = nlohmann::json::parse(json, nullptr, false);
    if (!value.is_string())
      refuse(column, "this text has an escape that JSON does not allow");
    return value.get<std::string>();
  }

  node format() {
    const auto token = take();
    if (!is_jq_format(token.text))
      refuse(token.column, "`" + std::string{token.text} + "` is not a format; there are " +
                             list_of(jq_format_names(), "and"));
    const unsigned ticks = token.text == "@uri" ? 4 : 2;
    if (here().kind == jq_token_kind::string_start) {
      auto out = string(ticks);
      return {std::string{token.text} + out.text};
    }
    std::string text = "(";
    for (unsigned i = 0; i < ticks; ++i)
      text += "debug|";
    return {text + std::string{token.text} + ")"};
  }

  // ---- calls -------------------------------------------------------------------------------------------------------

  node call() {
    const auto name = take();
    const std::string text{name.text};
    if (text == "true" || text == "false" || text == "null")
      return {text, true};
    check_name(name);
    if (text == "del")
      return deletion(name);
    std::vector<node> arguments;
    if (accept("(")) {
      do
        arguments.push_back(pipe());
      while (accept(";"));
      expect(")", "to close the arguments of `" + text + "`");
    }
    const auto* builtin = find_jq_builtin(name.text, arguments.size());
    if (builtin == nullptr)
      refuse(name.column, "`" + text + "` does not take " + std::to_string(arguments.size()) + " arguments");
    use(text);
    return called(*builtin, arguments);
  }

  static void check_name(const jq_token& name) {
    if (is_jq_builtin(name.text))
      return;
    const std::string text{name.text};
    if (const auto why = jq_refusal_reason(name.text); !why.empty())
      refuse(name.column, "`" + text + "` is not allowed: " + std::string{why});
    refuse(name.column, "`" + text + "` is not one of the functions that are allowed" +
                          did_you_mean(name.text, jq_builtin_names()));
  }

  node called(const jq_builtin& builtin, const std::vector<node>& arguments) {
    std::string text = "(";
    if (builtin.input != jq_input::any) {
      const std::string name = builtin.input == jq_input::items ? "__items" : "__list";
      use(name);
      text += name + "|";
    }
    for (unsigned i = 0; i < builtin.input_ticks; ++i)
      text += "debug|";
    text += builtin.name;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      const bool looked_at = builtin.arguments == jq_arguments::values;
      text += (i == 0 ? "(" : ";") + (looked_at ? charged(arguments[i]) : arguments[i].text);
    }
    if (!arguments.empty())
      text += ")";
    for (unsigned i = 0; i < builtin.output_ticks; ++i)
      text += "|debug";
    return {text + ")"};
  }

  node deletion(const jq_token& name) {
    expect("(", "after `del`");
    std::string text = "(debug|del(";
    do {
      const auto what = postfix();
      if (!what.path || what.path->empty())
        refuse(name.column, "del takes plain paths like .a.b only");
      text += (text.back() == '(' ? "" : ",") + what.text;
    } while (accept(","));
    expect(")", "to close the arguments of `del`");
    return {text + "))"};
  }

  void use(std::string_view name) { used_.emplace(name); }

  // ---- objects and keywords ----------------------------------------------------------------------------------------

  node object() {
    if (accept("}"))
      return {"{}"};
    std::string text = "({";
    while (!accept("}")) {
      text += (text.size() > 2 ? "," : "") + entry();
      if (!is_symbol("}"))
        expect(",", "between the fields of an object");
    }
    return {text + "}|debug)"};
  }

  std::string entry() {
    const auto token = here();
    std::string key, value;
    if (token.kind == jq_token_kind::identifier || token.kind == jq_token_kind::keyword) {
      take();
      key = "\"" + std::string{token.text} + "\"";
      value = "." + std::string{token.text};
    } else if (token.kind == jq_token_kind::string_start || token.kind == jq_token_kind::format) {
      key = token.kind == jq_token_kind::format ? format().text : string().text;
    } else if (accept("$")) {
      key = "\"" + std::string{here().text} + "\"";
      return key + ":" + variable().text;
    } else if (accept("(")) {
      key = "(" + charged(pipe()) + ")";
      expect(")", "to close the name of a field");
      expect(":", "after the name of a field");
      return key + ":" + entry_value();
    } else {
      refuse(token.column, "expected the name of a field" + found());
    }
    if (accept(":"))
      return key + ":" + entry_value();
    return value.empty() ? key : key + ":" + value;
  }

  std::string entry_value() {
    const nesting guard{*this};
    return piped([this] { return binary(precedence_lowest); }).text;
  }

  node keyword() {
    const auto token = take();
    if (token.text == "if")
      return condition();
    if (token.text == "reduce" || token.text == "foreach")
      return fold(token.text == "foreach");
    if (token.text == "def")
      refuse(token.column, "`def` is not allowed: a function could call itself for ever");
    if (token.text == "import" || token.text == "include" || token.text == "module")
      refuse(token.column, "`" + std::string{token.text} + "` is not allowed: " + std::string{jq_refusal_reason("env")});
    if (token.text == "label" || token.text == "break")
      refuse(token.column, "`" + std::string{token.text} + "` is not allowed; use first(f)");
    misplaced(token);
  }

  node condition() {
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

  node fold(bool with_extract) {
    const auto source = postfix();
    expect("as", "after what is iterated over");
    const auto scope = variables_.size();
    const auto what = pattern();
    std::vector<std::string> own{variables_.begin() + static_cast<std::ptrdiff_t>(scope), variables_.end()};
    variables_.resize(scope);
    expect("(", "after the variables");
    std::string text = "(" + std::string{with_extract ? "foreach " : "reduce "} + source.text + " as " + what + "(" +
                       pipe().text;
    expect(";", "after the first value");
    variables_.insert(variables_.end(), own.begin(), own.end());
    text += ";" + pipe().text;
    if (with_extract && accept(";"))
      text += ";" + pipe().text;
    expect(")", "to close it");
    variables_.resize(scope);
    return {text + "))"};
  }

  std::vector<jq_token> tokens_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
  std::size_t nodes_ = 0;
  std::vector<std::string> variables_;
  std::set<std::string, std::less<>> used_;
};

}  // namespace

result<translated_jq> translate_jq(std::string_view program) {
  if (program.size() > jq_limits::program_bytes_max)
    return error{errc::schema, "jq: the program is longer than " + std::to_string(jq_limits::program_bytes_max) + " bytes"};
  const auto control = std::find_if(program.begin(), program.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' && c != '\r') || c == 0x7f;
  });
  if (control != program.end())
    return jq_refusal(static_cast<std::size_t>(control - program.begin()) + 1, "control characters are not allowed");
  auto tokens = lex_jq(program);
  if (!tokens)
    return tokens.error();
  try {
    return translator{std::move(*tokens)}.run();
  } catch (const refused& r) {
    return r.why;
  }
}

}  // namespace holdfast
