// Input → request.

#include <algorithm>
#include <array>
#include <utility>

#include "runtime/model/bounded_json.hpp"
#include "runtime/net/url.hpp"
#include "runtime/tool/http_tool.hpp"

namespace holdfast::tool {

namespace {

using model::raw_member;

error bad_input(const std::string& what) { return {errc::schema, what}; }

/// The input's members, and which of them the URL has taken.
struct inputs {
  std::vector<raw_member> members;
  std::vector<bool> taken;

  std::optional<std::size_t> find(std::string_view name) const {
    for (std::size_t i = 0; i < members.size(); ++i)
      if (members[i].name == name)
        return i;
    return std::nullopt;
  }
};

result<inputs> read_inputs(std::string_view input) {
  if (input.size() > input_bytes_max)
    return error{errc::too_large,
                 "the input is larger than " + std::to_string(input_bytes_max >> 10) + " KiB"};
  auto members = model::members_of(input.empty() || input == "null" ? "{}" : input);
  if (!members)
    return bad_input("the input is not a JSON object, or nested too deep");
  inputs out{std::move(*members), {}};
  out.taken.resize(out.members.size());
  return out;
}

/// A string's text, or a number or truth value as it is written; nothing for `null`, objects and
/// arrays.
std::optional<std::string> scalar_of(std::string_view json) {
  if (json.starts_with('"'))
    return model::json::parse(json).get<std::string>();
  if (json.starts_with('{') || json.starts_with('[') || json == "null")
    return std::nullopt;
  return std::string{json};
}

// ---- URL ---------------------------------------------------------------------------------------

/// The input for a placeholder, encoded for its place.
result<std::string> fill(std::string_view name, bool in_query, inputs& from) {
  const std::string shown = "input `" + std::string{name} + "`";
  const auto at = from.find(name);
  if (!at)
    return bad_input(shown + " is missing; it is part of the URL");
  const auto text = scalar_of(from.members[*at].value);
  if (!text)
    return bad_input(shown + " must be a string, a number or a boolean; it is part of the URL");
  from.taken[*at] = true;
  if (in_query)
    return net::percent_encode_query(*text);
  if (text->empty() || *text == "." || *text == "..")
    return bad_input(shown + " must not be empty, `.` or `..`; it is part of the path");
  return net::percent_encode_segment(*text);
}

result<std::string> fill_all(std::string_view pattern, inputs& from) {
  std::string out;
  bool in_query = false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c != '{') {
      in_query = in_query || c == '?';
      out += c;
      continue;
    }
    const auto end = pattern.find('}', i);
    if (end == std::string_view::npos)
      return bad_input("the tool's url has a `{` without `}`");
    auto text = fill(pattern.substr(i + 1, end - i - 1), in_query, from);
    if (!text)
      return text.error();
    out += *text;
    i = end;
  }
  return out;
}

/// One `name=value` per scalar; a list of scalars repeats the name; anything deeper is sent as
/// JSON.
void append_query(std::string& query, const raw_member& member) {
  const auto append = [&](const std::string& value) {
    if (!query.empty())
      query += '&';
    query += net::percent_encode_query(member.name) + "=" + net::percent_encode_query(value);
  };
  if (member.value == "null")
    return;
  if (const auto text = scalar_of(member.value))
    return append(*text);
  if (member.value.starts_with('[')) {
    const auto list = model::json::parse(member.value);
    const bool flat =
      std::none_of(list.begin(), list.end(), [](const auto& v) { return v.is_structured(); });
    if (flat) {
      for (const auto& value : list)
        append(value.is_string() ? value.template get<std::string>() : model::to_text(value));
      return;
    }
  }
  append(std::string{member.value});
}

/// Fills path and query; the result has the scheme, host and port of the definition.
result<std::string> build_url(std::string_view pattern, inputs& from, bool rest_in_query) {
  pattern = pattern.substr(0, pattern.find('#'));
  const auto scheme_end = pattern.find("://");
  if (scheme_end == std::string_view::npos)
    return bad_input("the tool's url is not absolute");
  const auto origin_end = std::min(pattern.find_first_of("/?", scheme_end + 3), pattern.size());
  const auto origin = pattern.substr(0, origin_end);
  const auto fixed = net::parse_url(origin);
  if (!fixed)
    return bad_input(
      "the tool's url has no usable scheme, host and port; inputs cannot be part of them");
  auto target = fill_all(pattern.substr(origin_end), from);
  if (!target)
    return target.error();
  const auto [path, query] = net::split_target(*target);
  // Also what the pattern and an input make together: `.{x}` with `.`.
  if (!path.empty() && !net::split_path(path))
    return bad_input("the inputs make a path with `.`, `..` or a NUL in it");
  std::string all_query{query};
  if (rest_in_query)
    for (std::size_t i = 0; i < from.members.size(); ++i)
      if (!from.taken[i])
        append_query(all_query, from.members[i]);
  std::string url = std::string{origin} + (path.empty() ? "/" : std::string{path});
  if (!all_query.empty())
    url += "?" + all_query;
  if (url.size() > url_bytes_max)
    return error{errc::too_large, "the inputs make a URL larger than " +
                                    std::to_string(url_bytes_max >> 10) + " KiB"};
  const auto parsed = net::parse_url(url);
  if (!parsed || parsed->origin() != fixed->origin())
    return bad_input("the inputs do not make a usable URL");
  return url;
}

// ---- headers -----------------------------------------------------------------------------------

/// Those that frame the message belong to the client.
bool is_framing(std::string_view name) noexcept {
  constexpr std::array<std::string_view, 10> names = {
    "host", "content-length", "transfer-encoding", "connection", "expect",
    "te",   "trailer",        "upgrade",           "keep-alive", "proxy-connection"};
  return std::any_of(names.begin(), names.end(), [&](std::string_view framing) {
    return net::equals_ignoring_case(framing, name);
  });
}

/// Replaces every `${secret:NAME}`.
result<std::string> with_secrets(std::string_view text, const secret_lookup& secret,
                                 std::vector<std::string>& used) {
  constexpr std::string_view opening = "${secret:";
  std::string out;
  while (true) {
    const auto at = text.find(opening);
    out += text.substr(0, at);
    if (at == std::string_view::npos)
      return out;
    text.remove_prefix(at + opening.size());
    const auto end = text.find('}');
    if (end == std::string_view::npos)
      return bad_input("`${secret:` without `}`");
    auto value = secret(text.substr(0, end));
    if (!value)
      return value.error();
    out += *value;
    used.push_back(std::move(*value));
    text.remove_prefix(end + 1);
  }
}

/// Agent keys are UTF-8, header values had better be ASCII.
std::string ascii_header(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7F) {
      out += c;
    } else {
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
  return out;
}

bool has_header(const net::header_list& headers, std::string_view name) noexcept {
  return std::any_of(headers.begin(), headers.end(), [&](const auto& header) {
    return net::equals_ignoring_case(header.first, name);
  });
}

status add_declared(const http_call& call, const secret_lookup& secret, http_request& out) {
  for (const auto& [name, pattern] : call.headers) {
    if (!net::is_token(name) || is_framing(name))
      return error{errc::forbidden, "header `" + name + "` cannot be set by a tool"};
    if (net::equals_ignoring_case(name, "idempotency-key") ||
        net::equals_ignoring_case(name, "traceparent"))
      continue;  // ours
    auto value = with_secrets(pattern, secret, out.secrets);
    if (!value)
      return error{value.error().code, "header `" + name + "`: " + value.error().context};
    if (!net::is_header_value(*value))
      return error{errc::forbidden,
                   "header `" + name +
                     "` would hold a line break or a control character; check the secret in it"};
    out.headers.emplace_back(name, std::move(*value));
  }
  return ok_status();
}

// ---- body --------------------------------------------------------------------------------------

std::string rest_as_object(const inputs& from) {
  std::string out = "{";
  for (std::size_t i = 0; i < from.members.size(); ++i) {
    if (from.taken[i])
      continue;
    if (out.size() > 1)
      out += ',';
    out += model::to_text(model::json(from.members[i].name)) + ":";
    out += from.members[i].value;
  }
  return out + "}";
}

/// A program that gives `null` means no body; one that gives a string, under a type that is not
/// JSON, means the text.
result<std::string> body_of(const compiled_tool& tool, std::string_view input, bool json_type) {
  auto value = tool.body->evaluate(input.empty() ? "{}" : input);
  if (!value)
    return bad_input("the tool's body: " + value.error().context);
  if (*value == "null")
    return std::string{};
  if (!json_type && value->starts_with('"'))
    if (const auto text = model::parse_json(*value))
      return text->get<std::string>();
  return value;
}

std::string upper_case(std::string text) {
  for (auto& c : text)
    if (c >= 'a' && c <= 'z')
      c = static_cast<char>(c - 'a' + 'A');
  return text;
}

std::string content_type_of(const net::header_list& headers) {
  for (const auto& [name, value] : headers)
    if (net::equals_ignoring_case(name, "content-type"))
      return value;
  return {};
}

}  // namespace

result<http_request> build_request(const compiled_tool& tool, std::string_view input,
                                   const secret_lookup& secret, std::string_view idempotency_key,
                                   std::string_view traceparent) {
  const auto* call = std::get_if<http_call>(&tool.def.target);
  HOLDFAST_ASSERT(call != nullptr, "build_request is for HTTP tools");
  auto from = read_inputs(input);
  if (!from)
    return from.error();
  http_request out;
  out.method = upper_case(call->method);
  if (!net::is_token(out.method))
    return bad_input("the tool's method is not one");
  const bool bodiless = out.method == "GET" || out.method == "HEAD" || out.method == "DELETE";
  auto url = build_url(call->url, *from, bodiless && !tool.body);
  if (!url)
    return url.error();
  out.url = std::move(*url);
  out.timeout_ms = call->timeout_ms;
  if (auto added = add_declared(*call, secret, out); !added)
    return added.error();

  const std::string type = content_type_of(out.headers);
  if (tool.body) {
    auto body = body_of(tool, input, type.empty() || type.find("json") != std::string::npos);
    if (!body)
      return body.error();
    out.body = std::move(*body);
  } else if (!bodiless) {
    out.body = rest_as_object(*from);
  }
  if (!out.body.empty() && type.empty())
    out.headers.emplace_back("Content-Type", "application/json");
  if (!has_header(out.headers, "accept"))
    out.headers.emplace_back("Accept", "application/json, */*;q=0.5");
  if (!idempotency_key.empty())
    out.headers.emplace_back("Idempotency-Key", ascii_header(idempotency_key));
  if (!traceparent.empty() && traceparent.size() <= 256 && net::is_header_value(traceparent))
    out.headers.emplace_back("traceparent", traceparent);
  return out;
}

attempt_outcome refused(const error& why) {
  attempt_outcome out;
  out.status = outcome_status::failed;
  out.failure_reason = failure_kind::rejected;
  out.error.message = "the call was not made: " + why.context;
  switch (why.code) {
    case errc::schema:
    case errc::too_large:
      out.error.code = "bad_input";
      break;
    case errc::forbidden:
      out.error.code = "bad_header";
      break;
    default:
      out.error.code = "secret_unavailable";
      break;
  }
  return out;
}

}  // namespace holdfast::tool
