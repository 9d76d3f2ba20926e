#include <algorithm>
#include <nlohmann/json.hpp>

#include "runtime/expression/jq_grammar.hpp"
#include "runtime/expression/nearest_name.hpp"

namespace holdfast::jq_grammar_parts {

node jq_grammar::postfix() {
  auto out = primary();
  while (suffix(out)) {
  }
  return out;
}

bool jq_grammar::suffix(node& out) {
  const bool dotted = is_symbol(".") && next().kind == jq_token_kind::string_start;
  const bool dotted_bracket =
    is_symbol(".") && next().kind == jq_token_kind::symbol && next().text == "[";
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

void jq_grammar::add_step(node& out, jq_path_step step, const std::string& text) {
  if (out.path)
    out.path->push_back(std::move(step));
  out.text = out.text == "." && text.front() == '.' ? text : out.text + text;
  out.is_scalar = false;
  out.string.reset();
}

void jq_grammar::add_key(node& out, const node& key) {
  if (key.string)
    return add_step(out, *key.string, "[" + key.text + "]");
  use("__index");
  out = {out.text + "[(" + key.text + "|__index)]"};
}

void jq_grammar::bracket(node& out) {
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

void jq_grammar::each(node& out) {
  const std::string name = accept("?") ? "__each_opt" : "__each";
  use(name);
  out = {"(" + out.text + "|" + name + ")"};
}

std::optional<std::size_t> jq_grammar::literal_index(const node& key) {
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

node jq_grammar::primary() {
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
      refuse(token.column,
             token.kind == jq_token_kind::end ? "the program ends too early" : "unexpected text");
  }
}

node jq_grammar::with_suffix_step(const std::string& name) {
  node out{".", false, {}, path_steps{}};
  add_step(out, name, "." + name);
  if (accept("?")) {
    out.text += "?";
    out.path.reset();
  }
  return out;
}

node jq_grammar::number() {
  const auto token = take();
  const auto text = token.text;
  if (std::count(text.begin(), text.end(), '.') > 1 || text.size() > 32)
    refuse(token.column, "`" + std::string{text} + "` is not a number");
  return {"(" + std::string{text} + ")", true};
}

node jq_grammar::bracketed() {
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

void jq_grammar::misplaced(const jq_token& token) {
  if (token.text == "&&" || token.text == "||")
    refuse(token.column, token.text == "&&" ? "write `and`" : "write `or`");
  refuse(token.column, "`" + std::string{token.text} + "` does not belong here");
}

node jq_grammar::variable() {
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

// ---- strings ----------------------------------------------------------------------------------------------------------

node jq_grammar::literal_string() {
  const auto column = here().column;
  auto out = string();
  if (!out.string)
    refuse(column, "this text must be plain, without \\(…)");
  return out;
}

node jq_grammar::string(unsigned ticks) {
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

std::string jq_grammar::unescaped(const std::string& quoted, std::size_t column) {
  std::string json;
  for (const char c : quoted)
    json += c == '\n' ? "\\n" : c == '\t' ? "\\t" : c == '\r' ? "\\r" : std::string(1, c);
  const auto value = nlohmann::json::parse(json, nullptr, false);
  if (!value.is_string())
    refuse(column, "this text has an escape that JSON does not allow");
  return value.get<std::string>();
}

node jq_grammar::format() {
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

// ---- calls ------------------------------------------------------------------------------------------------------------

node jq_grammar::call() {
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
    refuse(name.column,
           "`" + text + "` does not take " + std::to_string(arguments.size()) + " arguments");
  use(text);
  return called(*builtin, arguments);
}

void jq_grammar::check_name(const jq_token& name) {
  if (is_jq_builtin(name.text))
    return;
  const std::string text{name.text};
  if (const auto why = jq_refusal_reason(name.text); !why.empty())
    refuse(name.column, "`" + text + "` is not allowed: " + std::string{why});
  refuse(name.column, "`" + text + "` is not one of the functions that are allowed" +
                        did_you_mean(name.text, jq_builtin_names()));
}

node jq_grammar::called(const jq_builtin& builtin, const std::vector<node>& arguments) {
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

node jq_grammar::deletion(const jq_token& name) {
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

// ---- objects ----------------------------------------------------------------------------------------------------------

node jq_grammar::object() {
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

std::string jq_grammar::entry() {
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

std::string jq_grammar::entry_value() {
  const nesting guard{*this};
  return piped([this] { return binary(precedence_lowest); }).text;
}

}  // namespace holdfast::jq_grammar_parts
