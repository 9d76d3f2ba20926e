#include "runtime/model/bounded_json.hpp"

#include <algorithm>

namespace holdfast::model {

namespace {

/// Counts brackets outside strings; says nothing about whether the text is JSON.
bool is_within_depth(std::string_view text, std::size_t depth_max) noexcept {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > depth_max)
        return false;
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return true;
}

bool is_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/// Walks over valid JSON.
class walker {
public:
  explicit walker(std::string_view text) : text_(text) {}
  char peek() noexcept {
    while (at_ < text_.size() && is_space(text_[at_]))
      ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  void step() noexcept { ++at_; }
  /// The value that begins here.
  std::string_view take_value() noexcept {
    const char first = peek();
    const std::size_t from = at_;
    if (first == '"')
      skip_string();
    else if (first == '{' || first == '[')
      skip_nested();
    else
      while (at_ < text_.size() && !is_space(text_[at_]) && text_[at_] != ',' &&
             text_[at_] != '}' && text_[at_] != ']')
        ++at_;
    return text_.substr(from, at_ - from);
  }

private:
  void skip_string() noexcept {
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_)
      if (text_[at_] == '\\')
        ++at_;
    ++at_;
  }
  void skip_nested() noexcept {
    std::size_t depth = 0;
    do {
      const char c = text_[at_];
      if (c == '"') {
        skip_string();
        continue;
      }
      if (c == '{' || c == '[')
        ++depth;
      else if (c == '}' || c == ']')
        --depth;
      ++at_;
    } while (depth > 0 && at_ < text_.size());
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

template <class Json>
std::optional<Json> parse(std::string_view text, std::size_t depth_max) {
  if (!is_within_depth(text, depth_max))
    return std::nullopt;
  auto value = Json::parse(text, nullptr, false);
  if (value.is_discarded())
    return std::nullopt;
  return value;
}

}  // namespace

std::optional<json> parse_json(std::string_view text, std::size_t depth_max) {
  return parse<json>(text, depth_max);
}

std::optional<ordered_json> parse_ordered_json(std::string_view text, std::size_t depth_max) {
  return parse<ordered_json>(text, depth_max);
}

bool is_json(std::string_view text, std::size_t depth_max) {
  return is_within_depth(text, depth_max) && json::accept(text);
}

std::string to_text(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string to_text(const ordered_json& value) {
  return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::optional<std::vector<raw_member>> members_of(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF"))
    text.remove_prefix(3);
  walker walk{text};
  if (walk.peek() != '{' || !is_json(text))
    return std::nullopt;
  std::vector<raw_member> members;
  walk.step();
  while (walk.peek() == '"') {
    auto name = json::parse(walk.take_value()).get<std::string>();
    walk.peek();  // the colon
    walk.step();
    members.push_back({std::move(name), walk.take_value()});
    if (walk.peek() == ',')
      walk.step();
  }
  // Of repeated names the last counts. Sorting keeps this from being quadratic in what the model
  // wrote.
  std::vector<std::size_t> order(members.size());
  for (std::size_t i = 0; i < order.size(); ++i)
    order[i] = i;
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const int names = members[a].name.compare(members[b].name);
    return names != 0 ? names < 0 : a < b;
  });
  std::vector<bool> dropped(members.size());
  for (std::size_t i = 0; i + 1 < order.size(); ++i)
    dropped[order[i]] = members[order[i]].name == members[order[i + 1]].name;
  std::vector<raw_member> kept;
  kept.reserve(members.size());
  for (std::size_t i = 0; i < members.size(); ++i)
    if (!dropped[i])
      kept.push_back(std::move(members[i]));
  return kept;
}

}  // namespace holdfast::model
