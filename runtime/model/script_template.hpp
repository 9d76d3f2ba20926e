#pragma once
// `{{ jq }}` inside the texts of a script (scripted.hpp). Compiled once; pure.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/core/expression.hpp"
#include "runtime/model/bounded_json.hpp"

namespace holdfast::model {

/// What is wrong at a place of a script.
inline error wrong_at(const std::string& place, const std::string& what) {
  return {errc::schema, place + ": " + what};
}

/// Text with programs in it. Errors of `compile`: `schema`, beginning with `place`.
class text_template {
public:
  static result<text_template> compile(const std::string& text, const std::string& place,
                                       const compilers& with);
  bool has_programs() const noexcept;
  /// The whole text is one program: its value may keep its type.
  bool is_one_program() const noexcept;
  /// The value of that one program, JSON text.
  result<std::string> value(const std::string& document) const;
  /// The text; a program's string as it is, any other value as JSON.
  result<std::string> render(const std::string& document) const;

private:
  struct piece {
    std::string literal;
    std::shared_ptr<const expression> program;  // null: the literal
  };
  std::vector<piece> pieces_;
};

/// A JSON object with templates in its strings, or one program that gives the object.
class json_template {
public:
  static result<json_template> compile(ordered_json value, const std::string& place,
                                       const compilers& with);
  /// Compact JSON text; a string that is one program takes the type of its value.
  result<std::string> render(const std::string& document) const;

private:
  status collect(const ordered_json& value, const ordered_json::json_pointer& where,
                 const std::string& place, const compilers& with);

  ordered_json value_ = ordered_json::object();
  std::vector<std::pair<ordered_json::json_pointer, text_template>> places_;
};

}  // namespace holdfast::model
