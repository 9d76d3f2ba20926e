#include "runtime/definition/json_schema.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#define VALIJSON_USE_EXCEPTIONS 1  // otherwise valijson ends the process
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/constraint_builder.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include "runtime/definition/json_schema_check.hpp"
#include "runtime/definition/text_pattern.hpp"

namespace holdfast {

namespace {

using nlohmann::json;
using json_adapter = valijson::adapters::NlohmannJsonAdapter;
using context = std::vector<std::string>;

/// `pattern` without std::regex.
class pattern_constraint final : public valijson::constraints::PolyConstraint {
public:
  explicit pattern_constraint(text_pattern pattern) : pattern_(std::move(pattern)) {}

  bool validate(const valijson::adapters::Adapter& target, const context& where,
                valijson::ValidationResults* results) const override {
    if (!target.isString())
      return true;
    const auto text = target.asString();
    const bool found = pattern_.found_in(text);
    if (!found && results != nullptr)
      results->pushError(where, pattern_.is_too_long(text) ? "too long for its pattern"
                                                           : "does not match its pattern");
    return found;
  }

private:
  Constraint* cloneInto(void* place) const override {
    return new (place) pattern_constraint(*this);
  }
  std::size_t sizeOf() const override { return sizeof(pattern_constraint); }
  text_pattern pattern_;
};

class pattern_builder final : public valijson::ConstraintBuilder {
public:
  valijson::constraints::Constraint* make(const valijson::adapters::Adapter& value) const override {
    auto pattern = text_pattern::compile(value.asString());
    if (!pattern)
      throw std::runtime_error(pattern.error().context);
    return new pattern_constraint(std::move(*pattern));
  }
};

/// `uniqueItems` by sorting; valijson compares all with all.
class unique_constraint final : public valijson::constraints::PolyConstraint {
public:
  bool validate(const valijson::adapters::Adapter& target, const context& where,
                valijson::ValidationResults* results) const override {
    if (!target.isArray())
      return true;
    std::vector<std::string> items;
    target.applyToArray([&items](const valijson::adapters::Adapter& item) {
      items.push_back(text_of(item));
      return true;
    });
    std::sort(items.begin(), items.end());
    const bool unique = std::adjacent_find(items.begin(), items.end()) == items.end();
    if (!unique && results != nullptr)
      results->pushError(where, "two items are equal");
    return unique;
  }

private:
  /// Equal for equal values: names are in order, and 1.0 is 1.
  static void append_text(std::string& out, const valijson::adapters::Adapter& value) {
    if (value.isObject()) {
      out += '{';
      value.applyToObject(
        [&out](const std::string& name, const valijson::adapters::Adapter& member) {
          out += json(name).dump(-1, ' ', false, json::error_handler_t::replace) + ':';
          append_text(out, member);
          return out += ',', true;
        });
      out += '}';
    } else if (value.isArray()) {
      out += '[';
      value.applyToArray([&out](const valijson::adapters::Adapter& item) {
        append_text(out, item);
        return out += ',', true;
      });
      out += ']';
    } else if (value.isString()) {
      out += json(value.asString()).dump(-1, ' ', false, json::error_handler_t::replace);
    } else if (value.isInteger()) {
      out += std::to_string(value.asInteger());
    } else if (value.isDouble()) {
      const double number = value.asDouble();
      const bool whole = number == std::trunc(number) && std::abs(number) < 9e15;
      out += whole ? std::to_string(static_cast<std::int64_t>(number)) : json(number).dump();
    } else {
      out += value.isBool() ? (value.asBool() ? "true" : "false") : "null";
    }
  }
  static std::string text_of(const valijson::adapters::Adapter& value) {
    std::string out;
    append_text(out, value);
    return out;
  }

  Constraint* cloneInto(void* place) const override { return new (place) unique_constraint(*this); }
  std::size_t sizeOf() const override { return sizeof(unique_constraint); }
};

class unique_builder final : public valijson::ConstraintBuilder {
public:
  valijson::constraints::Constraint* make(const valijson::adapters::Adapter&) const override {
    return new unique_constraint;
  }
};

std::size_t values_in(const json& value) {
  std::size_t count = 1;
  if (value.is_structured())
    for (const auto& below : value)
      count += values_in(below);
  return count;
}

class valijson_validator final : public json_validator {
public:
  /// May throw what valijson throws.
  valijson_validator(json source, const checked_schema& checked)
    : source_(std::move(source)), parts_(checked.parts) {
    valijson::SchemaParser parser{valijson::SchemaParser::kDraft7};
    parser.addConstraintBuilder(pattern_keyword, new pattern_builder);  // the parser owns them
    parser.addConstraintBuilder(unique_keyword, new unique_builder);
    parser.populateSchema(json_adapter{checked.to_compile}, schema_);
  }

  status validate(std::string_view text) const override {
    if (text.size() > json_schema_limits::document_bytes_max)
      return error{errc::too_large, "the document is larger than 1MiB"};
    if (json_depth(text) > json_schema_limits::document_depth_max)
      return error{errc::too_deep,
                   "nested deeper than " + std::to_string(json_schema_limits::document_depth_max)};
    const auto document = json::parse(text, nullptr, false);
    if (document.is_discarded())
      return error{errc::malformed, "not JSON"};
    if (values_in(document) * parts_ > json_schema_limits::work_max)
      return error{errc::too_large, "the document is too large for so large a schema"};
    valijson::ValidationResults results;
    valijson::Validator validator;
    const json_adapter target{document};
    if (validator.validate(schema_, target, nullptr))
      return ok_status();
    validator.validate(schema_, target, &results);
    return error{errc::schema, described(results, document)};
  }

private:
  std::string described(valijson::ValidationResults& results, const json& document) const {
    std::vector<std::string> lines;
    valijson::ValidationResults::Error problem;
    while (results.popError(problem) && lines.size() < json_schema_limits::problems_max) {
      if (is_echo(problem.description))
        continue;
      const auto pointer = pointer_of(problem.context);
      auto line =
        (pointer.empty() ? "/" : pointer) + ": " + improved(problem.description, pointer, document);
      if (std::find(lines.begin(), lines.end(), line) == lines.end())
        lines.push_back(std::move(line));
    }
    std::string out;
    for (const auto& line : lines)
      out += (out.empty() ? "" : "\n") + line;
    return out.empty() ? "/: does not match the schema" : out;
  }

  /// What valijson adds on the way up from the place that is wrong.
  static bool is_echo(std::string_view description) noexcept {
    return description.starts_with(
             "Failed to validate against schema associated with property name") ||
           description.starts_with("Failed to validate item #") ||
           description.starts_with("Failed to validate against child schema #");
  }

  /// valijson's context is `<root>`, `[name]`, `[0]` …
  static std::string pointer_of(const context& where) {
    std::string out;
    for (std::size_t i = 1; i < where.size(); ++i) {
      std::string_view name = where[i];
      if (name.size() >= 2 && name.front() == '[' && name.back() == ']')
        name = name.substr(1, name.size() - 2);
      out += '/';
      for (const char c : name)
        out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
    }
    return out;
  }

  /// Says what was expected, where valijson only says that something else was.
  std::string improved(std::string description, const std::string& pointer,
                       const json& document) const {
    const auto* schema = subschema_at(pointer);
    if (description.find("'type' constraint") != std::string::npos && schema != nullptr &&
        schema->contains("type"))
      return "expected " + names(schema->at("type")) + ", not " + kind_at(document, pointer);
    if (description.find("enum values") != std::string::npos && schema != nullptr &&
        schema->contains("enum"))
      return "expected one of " + shortened(schema->at("enum").dump());
    return shortened(std::move(description));
  }

  static std::string kind_at(const json& document, const std::string& pointer) {
    const json::json_pointer at{pointer};
    if (!document.contains(at))
      return "that";
    const auto& value = document.at(at);
    return value.is_number_integer() ? "integer" : value.type_name();
  }

  static std::string names(const json& type) {
    if (type.is_string())
      return type.get<std::string>();
    std::string out;
    for (const auto& name : type)
      out += (out.empty() ? "" : " or ") + name.get<std::string>();
    return out;
  }

  static std::string shortened(std::string text) {
    constexpr std::size_t bytes_max = 300;
    if (text.size() <= bytes_max)
      return text;
    std::size_t size = bytes_max;
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0U) == 0x80U)
      --size;
    return text.substr(0, size) + "…";
  }

  static std::string unescaped(std::string step) {
    for (auto at = step.find("~1"); at != std::string::npos; at = step.find("~1", at + 1))
      step.replace(at, 2, "/");
    for (auto at = step.find("~0"); at != std::string::npos; at = step.find("~0", at + 1))
      step.replace(at, 2, "~");
    return step;
  }

  /// The schema of that place as far as `properties` and `items` alone lead there; null otherwise.
  const json* subschema_at(const std::string& pointer) const {
    const json* at = &source_;
    for (std::size_t begin = 0; begin < pointer.size();) {
      const auto end = std::min(pointer.find('/', begin + 1), pointer.size());
      const auto name = unescaped(pointer.substr(begin + 1, end - begin - 1));
      begin = end;
      if (!at->is_object())
        return nullptr;
      if (const auto items = at->find("items"); items != at->end() && items->is_object())
        at = &*items;
      else if (const auto all = at->find("properties"); all != at->end() && all->contains(name))
        at = &all->at(name);
      else
        return nullptr;
    }
    return at->is_object() ? at : nullptr;
  }

  json source_;
  std::size_t parts_;
  valijson::Schema schema_;
};

}  // namespace

result<std::shared_ptr<const json_validator>> compile_json_schema(std::string_view schema) {
  if (schema.size() > json_schema_limits::schema_bytes_max)
    return error{errc::schema, "/: the schema is larger than 64KiB"};
  if (json_depth(schema) > 2 * json_schema_limits::schema_depth_max)
    return error{errc::schema, "/: nested too deep"};
  auto source = json::parse(schema, nullptr, false);
  if (source.is_discarded())
    return error{errc::schema, "/: the schema is not JSON"};
  auto checked = check_json_schema(source);
  if (!checked)
    return checked.error();
  try {
    return std::shared_ptr<const json_validator>{
      std::make_shared<valijson_validator>(std::move(source), *checked)};
  } catch (const std::exception& e) {
    return error{errc::schema, std::string{"/: "} + e.what()};
  }
}

}  // namespace holdfast
