#pragma once
// jq, as much as these tests need: `.`, `.a.b`, and `fail`. The real one is tested in
// runtime/expression.

#include <nlohmann/json.hpp>

#include <memory>
#include <string>

#include "runtime/core/expression.hpp"

namespace holdfast::testing {

class fake_program final : public expression {
public:
  explicit fake_program(std::string path) : path_(std::move(path)) {}
  result<std::string> evaluate(std::string_view text) const override {
    if (path_ == "fail")
      return error{errc::schema, "told to fail"};
    auto value = nlohmann::json::parse(text, nullptr, false);
    if (value.is_discarded())
      return error{errc::malformed, "not JSON"};
    for (std::size_t at = 1; at < path_.size();) {
      const auto end = std::min(path_.find('.', at), path_.size());
      const auto name = path_.substr(at, end - at);
      if (!value.is_object())
        return error{errc::schema, "Cannot index " + std::string{value.type_name()}};
      value = value.contains(name) ? nlohmann::json(value[name]) : nlohmann::json();
      at = end + 1;
    }
    return value.dump();
  }

private:
  std::string path_;
};

inline std::string without_spaces(std::string_view text) {
  std::string out;
  for (const char c : text)
    if (c != ' ')
      out += c;
  return out;
}

inline compilers fake_compilers() {
  compilers out;
  out.jq = [](std::string_view program) -> result<std::shared_ptr<const expression>> {
    const auto path = without_spaces(program);
    if (path != "fail" && !path.starts_with('.'))
      return error{errc::schema, "jq: cannot compile `" + std::string{program} + "`"};
    return std::shared_ptr<const expression>{std::make_shared<fake_program>(path)};
  };
  return out;
}

}  // namespace holdfast::testing
