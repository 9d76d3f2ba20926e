#include "runtime/gateway/request_body.hpp"

#include <array>
#include <charconv>

#include "runtime/net/http_message.hpp"
#include "runtime/net/url.hpp"

namespace holdfast {

namespace {

using net::equals_ignoring_case;

constexpr std::size_t problems_max = 16;

std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  return text;
}

std::string_view essence_of(std::string_view content_type) noexcept {
  return trim(content_type.substr(0, content_type.find(';')));
}

/// False for a charset that is neither UTF-8 nor a part of it.
bool has_utf8_charset(std::string_view content_type) noexcept {
  auto at = content_type.find(';');
  while (at != std::string_view::npos) {
    content_type.remove_prefix(at + 1);
    at = content_type.find(';');
    const auto parameter = trim(content_type.substr(0, at));
    const auto equals = parameter.find('=');
    if (equals == std::string_view::npos ||
        !equals_ignoring_case(parameter.substr(0, equals), "charset"))
      continue;
    auto charset = parameter.substr(equals + 1);
    if (charset.size() >= 2 && charset.front() == '"' && charset.back() == '"')
      charset = charset.substr(1, charset.size() - 2);
    return equals_ignoring_case(charset, "utf-8") || equals_ignoring_case(charset, "utf8") ||
           equals_ignoring_case(charset, "us-ascii");
  }
  return true;
}

/// RFC 6901; shortened, because the name may be anything.
std::string pointer_to(std::string_view name) {
  std::string out = "/";
  for (const char c : name.substr(0, 64)) {
    if (c == '~')
      out += "~0";
    else if (c == '/')
      out += "~1";
    else
      out += c;
  }
  return out;
}

struct media_name {
  std::string_view name;
  media kind;
};
constexpr std::array media_names{
  media_name{"application/json", media::json},
  media_name{"application/cloudevents+json", media::cloudevents},
  media_name{"application/cloudevents-batch+json", media::cloudevents_batch},
  media_name{"application/merge-patch+json", media::merge_patch},
  media_name{"application/yaml", media::yaml},
  media_name{"application/x-yaml", media::yaml},
  media_name{"text/yaml", media::yaml},
  media_name{"text/x-yaml", media::yaml},
  media_name{"application/vnd.holdfast.definitions+json", media::definitions},
};

}  // namespace

media media_of(std::string_view content_type) noexcept {
  const auto essence = essence_of(content_type);
  if (essence.empty())
    return media::none;
  if (!has_utf8_charset(content_type))
    return media::other;
  for (const auto& row : media_names)
    if (equals_ignoring_case(row.name, essence))
      return row.kind;
  return media::other;
}

bool is_json_type(std::string_view content_type) noexcept {
  const auto essence = essence_of(content_type);
  return essence.empty() || equals_ignoring_case(essence, "application/json") ||
         equals_ignoring_case(essence, "text/json") ||
         (essence.size() > 5 && equals_ignoring_case(essence.substr(essence.size() - 5), "+json"));
}

error unsupported_media(std::string_view content_type, std::string_view wanted) {
  const auto essence =
    content_type.empty() ? std::string_view{"none"} : content_type.substr(0, 100);
  return {errc::unsupported_media, "Content-Type is " + std::string{essence} + "; send " +
                                     std::string{wanted} + " in UTF-8"};
}

status check_body(std::string_view body, const body_limits& limits) {
  if (body.size() > limits.bytes_max)
    return error{errc::too_large, "the body has " + std::to_string(body.size()) +
                                    " bytes, more than " + std::to_string(limits.bytes_max)};
  if (body.empty())
    return error{errc::malformed, "the body is empty; send JSON"};
  return check_json(body, limits.depth_max);
}

member_reader::member_reader(std::string_view object, std::initializer_list<std::string_view> names,
                             bool strict) {
  known_.reserve(names.size());
  for (auto name : names)
    known_.push_back({name, {}});
  object_walk walk{object};
  if (!walk.is_object()) {
    note("", "must be a JSON object");
    return;
  }
  while (walk.next()) {
    known* found = nullptr;
    for (auto& one : known_)
      if (walk.is(one.name))
        found = &one;
    if (found == nullptr) {
      if (strict)
        note(pointer_to(walk.name()), "is not known here");
    } else if (!found->value.empty()) {
      note("/" + std::string{found->name}, "is given twice");
    } else {
      found->value = walk.value();
    }
  }
}

void member_reader::note(std::string pointer, std::string detail) {
  if (problems_.size() < problems_max)
    problems_.push_back({std::move(pointer), std::move(detail)});
}

std::string_view member_reader::raw(std::string_view name) const noexcept {
  for (const auto& one : known_)
    if (one.name == name)
      return one.value;
  return {};
}

std::string member_reader::text(std::string_view name) {
  const auto value = raw(name);
  if (value.empty() || value == "null")
    return {};
  auto text = string_value(value);
  if (!text) {
    note("/" + std::string{name}, "must be a string");
    return {};
  }
  return std::move(*text);
}

std::optional<std::uint64_t> member_reader::number(std::string_view name) {
  const auto value = raw(name);
  if (value.empty() || value == "null")
    return std::nullopt;
  const auto number = number_value(value);
  if (!number)
    note("/" + std::string{name}, "must be a whole number from 0");
  return number;
}

bool member_reader::flag(std::string_view name) {
  const auto value = raw(name);
  if (value.empty() || value == "null")
    return false;
  const auto truth = bool_value(value);
  if (!truth)
    note("/" + std::string{name}, "must be true or false");
  return truth.value_or(false);
}

std::vector<std::string> member_reader::texts(std::string_view name) {
  std::vector<std::string> out;
  const auto value = raw(name);
  if (value.empty() || value == "null")
    return out;
  array_walk items{value};
  bool good = items.is_array();
  while (good && items.next()) {
    auto text = string_value(items.value());
    good = text.has_value();
    if (good)
      out.push_back(std::move(*text));
  }
  if (good)
    return out;
  note("/" + std::string{name}, "must be an array of strings");
  return {};
}

void member_reader::require(std::string_view name, std::string_view what) {
  const auto value = raw(name);
  if (value.empty() || value == "null")
    note("/" + std::string{name}, "is missing: " + std::string{what});
}

refusal member_reader::refused() const {
  std::string detail = "the body is not what this call takes";
  if (!problems_.empty())
    detail += ": " + (problems_.front().pointer.empty() ? "it" : problems_.front().pointer) + " " +
              problems_.front().detail;
  return {{errc::schema, std::move(detail)}, problems_};
}

result<query_reader> query_reader::parse(std::string_view query) {
  query_reader out;
  if (query.empty())
    return out;
  auto pairs = net::parse_query(query);
  if (!pairs)
    return error{errc::malformed, "the query of the URL is not percent-encoded UTF-8"};
  for (std::size_t i = 0; i < pairs->size(); ++i) {
    if (!is_utf8((*pairs)[i].first) || !is_utf8((*pairs)[i].second))
      return error{errc::malformed, "the query of the URL is not UTF-8"};
    for (std::size_t k = 0; k < i && i < 64; ++k)
      if ((*pairs)[k].first == (*pairs)[i].first)
        return error{errc::malformed, "`" + (*pairs)[i].first + "` is given twice in the URL"};
  }
  if (pairs->size() > 64)
    return error{errc::malformed, "the URL has more than 64 query parameters"};
  out.pairs_ = std::move(*pairs);
  return out;
}

std::optional<std::string_view> query_reader::get(std::string_view name) const noexcept {
  for (const auto& [key, value] : pairs_)
    if (key == name)
      return std::string_view{value};
  return std::nullopt;
}

result<bool> query_reader::flag(std::string_view name) const {
  const auto value = get(name);
  if (!value || *value == "false")
    return false;
  if (value->empty() || *value == "true")
    return true;
  return error{errc::malformed, "`" + std::string{name} + "` is true or false"};
}

result<std::optional<std::uint64_t>> query_reader::number(std::string_view name) const {
  const auto value = get(name);
  if (!value)
    return std::optional<std::uint64_t>{};
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(value->data(), value->data() + value->size(), number);
  if (value->empty() || failed != std::errc{} || end != value->data() + value->size())
    return error{errc::malformed, "`" + std::string{name} + "` is a whole number from 0"};
  return std::optional<std::uint64_t>{number};
}

}  // namespace holdfast
