#include "runtime/model/script_template.hpp"

#include <algorithm>
#include <string_view>

namespace holdfast::model {

namespace {

constexpr std::size_t value_depth_max =
  json_depth_max + 64;  // of what a program makes of a document within bounds

/// Where the program that begins at `from` ends: at `}}` outside of its own strings and braces.
std::size_t program_end(std::string_view text, std::size_t from) noexcept {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = from; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{') {
      ++depth;
    } else if (c == '}') {
      if (depth > 0)
        --depth;
      else if (i + 1 < text.size() && text[i + 1] == '}')
        return i;
    }
  }
  return std::string_view::npos;
}

}  // namespace

bool text_template::has_programs() const noexcept {
  return std::any_of(pieces_.begin(), pieces_.end(),
                     [](const auto& p) { return p.program != nullptr; });
}

bool text_template::is_one_program() const noexcept {
  return pieces_.size() == 1 && pieces_[0].program != nullptr;
}

result<std::string> text_template::value(const std::string& document) const {
  return pieces_.at(0).program->evaluate(document);
}

result<text_template> text_template::compile(const std::string& text, const std::string& place,
                                             const compilers& with) {
  text_template out;
  std::size_t at = 0;
  while (at < text.size()) {
    const auto open = text.find("{{", at);
    if (open != at)
      out.pieces_.push_back({text.substr(at, open - at), nullptr});
    if (open == std::string::npos)
      break;
    const auto end = program_end(text, open + 2);
    if (end == std::string::npos)
      return wrong_at(place, "`{{` without `}}`");
    auto program = with.jq(text.substr(open + 2, end - open - 2));
    if (!program)
      return wrong_at(place, program.error().context);
    out.pieces_.push_back({{}, std::move(*program)});
    at = end + 2;
  }
  return out;
}

result<std::string> text_template::render(const std::string& document) const {
  std::string out;
  for (const auto& [literal, program] : pieces_) {
    if (!program) {
      out += literal;
      continue;
    }
    auto text = program->evaluate(document);
    if (!text)
      return text.error();
    const auto value = parse_json(*text, value_depth_max);
    out += value && value->is_string() ? value->get<std::string>() : *text;
  }
  return out;
}

result<json_template> json_template::compile(ordered_json value, const std::string& place,
                                             const compilers& with) {
  json_template out;
  if (auto done = out.collect(value, ordered_json::json_pointer{}, place, with); !done)
    return done.error();
  const bool one_program =
    value.is_string() && !out.places_.empty() && out.places_[0].second.is_one_program();
  if (!value.is_object() && !one_program)
    return wrong_at(place, "must be an object, or one `{{ }}` that gives one");
  out.value_ = std::move(value);
  return out;
}

status json_template::collect(const ordered_json& value, const ordered_json::json_pointer& where,
                              const std::string& place, const compilers& with) {
  if (value.is_string()) {
    auto text = text_template::compile(value.get<std::string>(), place, with);
    if (!text)
      return text.error();
    if (text->has_programs())
      places_.emplace_back(where, std::move(*text));
  } else if (value.is_object()) {
    for (const auto& [name, member] : value.items())
      if (auto done = collect(member, where / name, place + "." + name, with); !done)
        return done;
  } else if (value.is_array()) {
    for (std::size_t i = 0; i < value.size(); ++i)
      if (auto done = collect(value[i], where / i, place + "[" + std::to_string(i) + "]", with);
          !done)
        return done;
  }
  return ok_status();
}

result<std::string> json_template::render(const std::string& document) const {
  auto out = value_;
  for (const auto& [where, text] : places_) {
    auto rendered = text.is_one_program() ? text.value(document) : text.render(document);
    if (!rendered)
      return rendered.error();
    std::optional<ordered_json> typed;
    if (text.is_one_program())
      typed = parse_ordered_json(*rendered, value_depth_max);
    out[where] = typed ? std::move(*typed) : ordered_json(std::move(*rendered));
  }
  return to_text(out);
}

}  // namespace holdfast::model
