#include "runtime/net/url.hpp"

#include <algorithm>
#include <charconv>

#include "runtime/net/egress.hpp"
#include "runtime/net/http_message.hpp"

namespace holdfast::net {

namespace {

constexpr bool is_alnum(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

constexpr bool is_unreserved(char c) noexcept {
  return is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

/// The byte behind `%XX` at `at`, or -1.
int escaped_byte(std::string_view text, size_t at) noexcept {
  if (at + 2 >= text.size())
    return -1;
  const int high = hex_value(text[at + 1]);
  const int low = hex_value(text[at + 2]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/// RFC 3986 pchar, '/' and '?'; escapes complete.
bool is_path_or_query(std::string_view text) noexcept {
  constexpr std::string_view allowed = "-._~!$&'()*+,;=:@/?";
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (escaped_byte(text, i) < 0)
        return false;
      i += 2;
    } else if (!is_alnum(text[i]) && allowed.find(text[i]) == std::string_view::npos) {
      return false;
    }
  }
  return true;
}

std::string lower_case(std::string_view text) {
  std::string out{text};
  for (auto& c : out)
    if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
  return out;
}

/// Letters, digits, '-', '_' and '.', no empty label, at most 253 bytes. A name is all it can be:
/// what the resolver would read as an address in an odd notation is judged after resolution.
bool is_host_name(std::string_view host) noexcept {
  if (host.empty() || host.size() > 253 || host.front() == '.' || host.front() == '-')
    return false;
  if (host.find("..") != std::string_view::npos)
    return false;
  return std::all_of(host.begin(), host.end(),
                     [](char c) { return is_alnum(c) || c == '-' || c == '.' || c == '_'; });
}

/// Splits `host[:port]` and `[v6][:port]`; fills host, ipv6 and port.
url_failure parse_authority(std::string_view authority, url& out) {
  std::string_view port;
  bool has_port = false;
  if (authority.starts_with('[')) {
    const auto end = authority.find(']');
    if (end == std::string_view::npos)
      return url_failure::host;
    out.host = lower_case(authority.substr(1, end - 1));
    out.ipv6 = true;
    const auto parsed = ip_address::parse(out.host);
    if (!parsed || !parsed->v6)
      return url_failure::host;
    const auto rest = authority.substr(end + 1);
    if (!rest.empty()) {
      if (!rest.starts_with(':'))
        return url_failure::host;
      has_port = true;
      port = rest.substr(1);
    }
  } else {
    const auto colon = authority.find(':');
    has_port = colon != std::string_view::npos;
    if (has_port)
      port = authority.substr(colon + 1);
    out.host = lower_case(authority.substr(0, colon));
    if (out.host.ends_with('.'))
      out.host.pop_back();
    if (!is_host_name(out.host))
      return url_failure::host;
  }
  if (!has_port) {
    out.port = out.scheme == "https" ? 443 : 80;
    return url_failure::none;
  }
  const auto [end, bad] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (port.empty() || bad != std::errc{} || end != port.data() + port.size() || out.port == 0)
    return url_failure::port;
  return url_failure::none;
}

url_failure parse_into(std::string_view text, url& out) {
  const auto scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos)
    return url_failure::not_absolute;
  out.scheme = lower_case(text.substr(0, scheme_end));
  if (out.scheme != "http" && out.scheme != "https")
    return url_failure::scheme;
  auto rest = text.substr(scheme_end + 3);
  rest = rest.substr(0, rest.find('#'));
  const auto authority_end = std::min(rest.find_first_of("/?"), rest.size());
  const auto authority = rest.substr(0, authority_end);
  if (authority.find('@') != std::string_view::npos)
    return url_failure::user_info;
  if (const auto failure = parse_authority(authority, out); failure != url_failure::none)
    return failure;
  const auto [path, query] = split_target(rest.substr(authority_end));
  out.has_query = rest.find('?') != std::string_view::npos;
  if (!is_path_or_query(path) || !is_path_or_query(query))
    return url_failure::character;
  out.path = path.empty() ? "/" : std::string{path};
  out.query = query;
  return url_failure::none;
}

}  // namespace

std::string url::authority() const {
  std::string out = ipv6 ? "[" + host + "]" : host;
  if (port != (scheme == "https" ? 443 : 80))
    out += ":" + std::to_string(port);
  return out;
}

std::string url::target() const { return has_query ? path + "?" + query : path; }

std::string url::origin() const {
  return scheme + "://" + (ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::string_view name(url_failure failure) noexcept {
  switch (failure) {
    case url_failure::none:
      return "none";
    case url_failure::not_absolute:
      return "not_absolute";
    case url_failure::scheme:
      return "scheme";
    case url_failure::user_info:
      return "user_info";
    case url_failure::host:
      return "host";
    case url_failure::port:
      return "port";
    case url_failure::character:
      return "character";
  }
  return "unknown";
}

std::optional<url> parse_url(std::string_view text, url_failure* why) {
  url out;
  const auto failure = parse_into(text, out);
  if (why)
    *why = failure;
  if (failure != url_failure::none)
    return std::nullopt;
  return out;
}

target_parts split_target(std::string_view target) noexcept {
  const auto mark = target.find('?');
  if (mark == std::string_view::npos)
    return {target, {}};
  return {target.substr(0, mark), target.substr(mark + 1)};
}

std::string percent_encode_segment(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (is_unreserved(c)) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
  return out;
}

std::string percent_encode_query(std::string_view text) { return percent_encode_segment(text); }

std::optional<std::string> percent_decode(std::string_view text, plus_sign plus) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      const int byte = escaped_byte(text, i);
      if (byte <= 0)
        return std::nullopt;
      out += static_cast<char>(byte);
      i += 2;
    } else if (text[i] == '+' && plus == plus_sign::space) {
      out += ' ';
    } else {
      out += text[i];
    }
  }
  return out;
}

std::optional<std::vector<std::string>> split_path(std::string_view path) {
  if (!path.starts_with('/'))
    return std::nullopt;
  std::vector<std::string> segments;
  size_t at = 1;
  while (true) {
    const auto end = std::min(path.find('/', at), path.size());
    auto segment = percent_decode(path.substr(at, end - at));
    if (!segment || is_dot_segment(*segment))
      return std::nullopt;
    segments.push_back(std::move(*segment));
    if (end == path.size())
      return segments;
    at = end + 1;
  }
}

std::optional<std::vector<std::pair<std::string, std::string>>>
parse_query(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> out;
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const auto part = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (part.empty())
      continue;
    const auto equals = std::min(part.find('='), part.size());
    auto key = percent_decode(part.substr(0, equals), plus_sign::space);
    auto value = percent_decode(part.substr(std::min(equals + 1, part.size())), plus_sign::space);
    if (!key || !value)
      return std::nullopt;
    out.emplace_back(std::move(*key), std::move(*value));
  }
  return out;
}

}  // namespace holdfast::net
