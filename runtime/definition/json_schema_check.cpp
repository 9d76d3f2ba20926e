#include "runtime/definition/json_schema_check.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <string_view>

#include "runtime/definition/json_schema.hpp"
#include "runtime/definition/text_pattern.hpp"
#include "runtime/expression/nearest_name.hpp"

namespace holdfast {

namespace {

using nlohmann::json;

enum class shape {
  schema,          ///< a schema
  schemas,         ///< an array of schemas
  schema_map,      ///< an object of schemas
  schema_or_list,  ///< `items`
  dependencies,    ///< an object of schemas or arrays of names
  ref,
  type,
  pattern,
  values,  ///< `enum`
  names,   ///< `required`
  count,   ///< not negative
  number,
  positive,
  truth,
  anything,
  annotation,
};

struct keyword {
  std::string_view name;
  shape is;
};

constexpr auto keywords = std::to_array<keyword>({
  {"$comment", shape::annotation},
  {"$defs", shape::schema_map},
  {"$id", shape::annotation},
  {"$ref", shape::ref},
  {"$schema", shape::annotation},
  {"additionalItems", shape::schema},
  {"additionalProperties", shape::schema},
  {"allOf", shape::schemas},
  {"anyOf", shape::schemas},
  {"const", shape::anything},
  {"contains", shape::schema},
  {"contentEncoding", shape::annotation},
  {"contentMediaType", shape::annotation},
  {"default", shape::annotation},
  {"definitions", shape::schema_map},
  {"dependencies", shape::dependencies},
  {"deprecated", shape::annotation},
  {"description", shape::annotation},
  {"else", shape::schema},
  {"enum", shape::values},
  {"example", shape::annotation},
  {"examples", shape::annotation},
  {"exclusiveMaximum", shape::number},
  {"exclusiveMinimum", shape::number},
  {"format", shape::annotation},
  {"if", shape::schema},
  {"items", shape::schema_or_list},
  {"maxItems", shape::count},
  {"maxLength", shape::count},
  {"maxProperties", shape::count},
  {"maximum", shape::number},
  {"minItems", shape::count},
  {"minLength", shape::count},
  {"minProperties", shape::count},
  {"minimum", shape::number},
  {"multipleOf", shape::positive},
  {"not", shape::schema},
  {"oneOf", shape::schemas},
  {"pattern", shape::pattern},
  {"properties", shape::schema_map},
  {"propertyNames", shape::schema},
  {"readOnly", shape::annotation},
  {"required", shape::names},
  {"then", shape::schema},
  {"title", shape::annotation},
  {"type", shape::type},
  {"uniqueItems", shape::truth},
  {"writeOnly", shape::annotation},
});

constexpr auto type_names = std::to_array<std::string_view>(
  {"array", "boolean", "integer", "null", "number", "object", "string"});

struct hint {
  std::string_view name;
  std::string_view text;
};
constexpr auto hints = std::to_array<hint>({
  {"patternProperties", "use additionalProperties and propertyNames"},
  {"prefixItems", "draft 7 writes it as an `items` array"},
  {"dependentRequired", "draft 7 writes it as `dependencies`"},
  {"dependentSchemas", "draft 7 writes it as `dependencies`"},
  {"unevaluatedProperties", "draft 7 has additionalProperties"},
  {"unevaluatedItems", "draft 7 has additionalItems"},
  {"nullable", "draft 7 writes it as type: [string, \"null\"]"},
  {"id", "draft 7 has $id"},
});

std::string escaped(std::string_view token) {
  std::string out;
  for (const char c : token)
    out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return out;
}

class checker {
public:
  explicit checker(const json& root) : root_(root) {}

  result<checked_schema> run() {
    checked_schema out;
    out.to_compile = schema(root_, "", 0);
    if (problems_.empty())
      out.parts = parts_of(root_, "");
    if (problems_.empty())
      return out;
    std::string text;
    for (const auto& problem : problems_)
      text += (text.empty() ? "" : "\n") + problem;
    return error{errc::schema, text};
  }

private:
  void problem(const std::string& pointer, const std::string& what) {
    if (problems_.size() < json_schema_limits::problems_max)
      problems_.push_back((pointer.empty() ? "/" : pointer) + ": " + what);
  }

  json schema(const json& node, const std::string& pointer, std::size_t depth) {
    if (node.is_boolean())
      return node;
    if (!node.is_object() || depth > json_schema_limits::schema_depth_max) {
      problem(pointer,
              node.is_object() ? "nested too deep" : "expected a schema: an object, true or false");
      return true;
    }
    if (node.contains("$ref"))
      check_alone(node, pointer);
    json out = json::object();
    for (const auto& [name, value] : node.items()) {
      const auto* known = std::find_if(keywords.begin(), keywords.end(),
                                       [&n = name](const auto& k) { return k.name == n; });
      if (known == keywords.end())
        unknown(name, pointer);
      else
        keyword_value(*known, value, pointer + "/" + escaped(name), depth, out);
    }
    return out;
  }

  void unknown(const std::string& name, const std::string& pointer) {
    if (name.starts_with("x-"))
      return;
    for (const auto& [hinted, text] : hints)
      if (hinted == name)
        return problem(pointer, "`" + name + "` is not available; " + std::string{text});
    std::vector<std::string_view> names;
    for (const auto& k : keywords)
      names.push_back(k.name);
    problem(pointer, "unknown keyword `" + name + "`" + did_you_mean(name, names));
  }

  /// Draft 7 ignores what stands beside `$ref`; a check that silently does not happen is worse than a refusal.
  void check_alone(const json& node, const std::string& pointer) {
    for (const auto& [name, value] : node.items()) {
      const auto* known = std::find_if(keywords.begin(), keywords.end(),
                                       [&n = name](const auto& k) { return k.name == n; });
      const bool harmless = known == keywords.end() || known->is == shape::annotation ||
                            known->is == shape::ref || name == "definitions" || name == "$defs";
      if (!harmless)
        problem(pointer, "`" + name + "` beside `$ref` would be ignored; put both into `allOf`");
    }
  }

  void keyword_value(const keyword& known, const json& value, const std::string& at,
                     std::size_t depth, json& out) {
    const std::string name{known.name};
    switch (known.is) {
      case shape::annotation:
        if (name == "$id" && at != "/$id")
          problem(at, "`$id` is allowed at the top only");
        return;
      case shape::schema:
        out[name] = schema(value, at, depth + 1);
        return;
      case shape::schemas:
        out[name] = list(value, at, depth);
        return;
      case shape::schema_map:
        out[name] = map(value, at, depth);
        return;
      case shape::schema_or_list:
        out[name] = value.is_array() ? list(value, at, depth) : schema(value, at, depth + 1);
        return;
      case shape::dependencies:
        out[name] = dependencies(value, at, depth);
        return;
      case shape::pattern:
        check_pattern(value, at);
        out[pattern_keyword] = value;
        return;
      case shape::truth:
        if (!value.is_boolean())
          problem(at, "expected true or false");
        else if (value.get<bool>())
          out[unique_keyword] = true;
        return;
      default:
        check_plain(known.is, value, at);
        out[name] = value;
    }
  }

  void check_plain(shape is, const json& value, const std::string& at) {
    const auto expect = [&](bool holds, const std::string& what) {
      if (!holds)
        problem(at, "expected " + what);
    };
    switch (is) {
      case shape::ref:
        check_ref(value, at);
        return;
      case shape::type:
        check_type(value, at);
        return;
      case shape::values:
        expect(value.is_array() && !value.empty(), "a list of values");
        return;
      case shape::names:
        expect(is_names(value), "a list of names");
        return;
      case shape::count:
        expect(value.is_number_unsigned() && value.get<std::uint64_t>() < (1ULL << 31U),
               "a number that is not negative");
        return;
      case shape::number:
        expect(value.is_number(), value.is_boolean() ? "a number (draft 4 took true)" : "a number");
        return;
      case shape::positive:
        expect(value.is_number() && value.get<double>() > 0, "a number above zero");
        return;
      default:
        return;
    }
  }

  static bool is_names(const json& value) {
    return value.is_array() &&
           std::all_of(value.begin(), value.end(), [](const json& n) { return n.is_string(); });
  }

  void check_type(const json& value, const std::string& at) {
    const auto one = [&](const json& name) {
      const bool known =
        name.is_string() && std::find(type_names.begin(), type_names.end(),
                                      name.get_ref<const std::string&>()) != type_names.end();
      if (!known)
        problem(at, (name.is_string() ? "`" + name.get<std::string>() + "` is not a type"
                                      : "expected a type") +
                      "; there are " + list_of(type_names, "and"));
    };
    if (!value.is_array())
      return one(value);
    if (value.empty())
      problem(at, "expected a type");
    for (const auto& name : value)
      one(name);
  }

  void check_pattern(const json& value, const std::string& at) {
    if (!value.is_string())
      return problem(at, "expected text");
    if (auto compiled = text_pattern::compile(value.get_ref<const std::string&>()); !compiled)
      problem(at, compiled.error().context);
  }

  const json* target(const json& ref) const {
    const auto& text = ref.get_ref<const std::string&>();
    if (!text.starts_with("#/") || text.find('%') != std::string::npos)
      return nullptr;
    try {
      const json::json_pointer pointer{text.substr(1)};
      return root_.contains(pointer) ? &root_.at(pointer) : nullptr;
    } catch (const json::exception&) {
      return nullptr;
    }
  }

  void check_ref(const json& value, const std::string& at) {
    if (!value.is_string())
      return problem(at, "expected text");
    const auto text = value.get<std::string>();
    if (text == "#")
      return problem(
        at, "a schema that contains itself is not available: checking could take exponential time");
    if (!text.starts_with("#/"))
      return problem(at,
                     "only references inside this schema, like #/definitions/name, are followed");
    const auto* found = target(value);
    if (found == nullptr)
      return problem(at, "`" + text + "` leads nowhere");
    if (!found->is_object() && !found->is_boolean())
      problem(at, "`" + text + "` is not a schema");
  }

  json list(const json& value, const std::string& at, std::size_t depth) {
    if (!value.is_array() || value.empty()) {
      problem(at, "expected a list of schemas");
      return json::array({true});
    }
    json out = json::array();
    for (std::size_t i = 0; i < value.size(); ++i)
      out.push_back(schema(value[i], at + "/" + std::to_string(i), depth + 1));
    return out;
  }

  json map(const json& value, const std::string& at, std::size_t depth) {
    json out = json::object();
    if (!value.is_object())
      problem(at, "expected an object of schemas");
    else
      for (const auto& [name, sub] : value.items())
        out[name] = schema(sub, at + "/" + escaped(name), depth + 1);
    return out;
  }

  json dependencies(const json& value, const std::string& at, std::size_t depth) {
    json out = json::object();
    if (!value.is_object())
      problem(at, "expected an object");
    else
      for (const auto& [name, sub] : value.items())
        out[name] = is_names(sub) ? sub : schema(sub, at + "/" + escaped(name), depth + 1);
    return out;
  }

  /// Subschemas of `node`, references followed; a circle of them is a problem.
  std::size_t parts_of(const json& node, const std::string& pointer) {
    if (!node.is_object())
      return 1;
    if (const auto known = parts_.find(&node); known != parts_.end()) {
      if (known->second == in_progress)
        problem(
          pointer,
          "a schema that contains itself is not available: checking could take exponential time");
      return known->second == in_progress ? 1 : known->second;
    }
    parts_[&node] = in_progress;
    std::size_t parts = 1;
    const auto add = [&](const json& sub) {
      if (problems_.empty())
        parts += parts_of(sub, pointer);
      if (parts > json_schema_limits::schema_parts_max && problems_.empty())
        problem(pointer, "the schema has more than " +
                           std::to_string(json_schema_limits::schema_parts_max) +
                           " parts, references followed");
    };
    for (const auto& k : keywords)
      if (const auto found = node.find(k.name);
          found != node.end() && k.name != "definitions" && k.name != "$defs")
        each_schema(k.is, *found, add);
    parts_[&node] = parts;
    return parts;
  }

  void each_schema(shape is, const json& value, const std::function<void(const json&)>& add) const {
    switch (is) {
      case shape::schema:
        return add(value);
      case shape::schemas:
      case shape::schema_map:
      case shape::dependencies:
        for (const auto& sub : value)
          add(sub);
        return;
      case shape::schema_or_list:
        if (!value.is_array())
          return add(value);
        for (const auto& sub : value)
          add(sub);
        return;
      case shape::values:
        for (const auto& one : value)
          add(one.is_structured() ? json(true) : one);
        return;
      case shape::ref:
        return add(*target(value));
      default:
        return;
    }
  }

  static constexpr std::size_t in_progress = 0;
  const json& root_;
  std::vector<std::string> problems_;
  std::map<const json*, std::size_t> parts_;
};

}  // namespace

result<checked_schema> check_json_schema(const json& schema) { return checker{schema}.run(); }

std::size_t json_depth(std::string_view text) noexcept {
  std::size_t depth = 0, deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      i += c == '\\' ? 1 : 0;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}

}  // namespace holdfast
