#include "runtime/definition/url_template.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>

namespace holdfast {

namespace {

constexpr std::size_t url_bytes_max = 2048;
constexpr std::size_t name_bytes_max = 64;

bool is_letter_or_digit(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

error refused(std::string what) { return {errc::schema, std::move(what)}; }

status check_port(std::string_view port) {
  std::uint16_t number = 0;
  const auto [end, failed] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (failed != std::errc{} || end != port.data() + port.size() || number == 0)
    return refused("the port of the URL is a number from 1 to 65535");
  return ok_status();
}

status check_authority(std::string_view authority) {
  if (authority.find_first_of("{}") != std::string_view::npos)
    return refused("{…} may stand in the path and the query only, never in the host or port");
  if (authority.find('@') != std::string_view::npos)
    return refused("no user and password in the URL; use a header with ${secret:NAME}");
  if (authority.starts_with('[')) {
    const auto end = authority.find(']');
    const auto host = authority.substr(1, end == std::string_view::npos ? end : end - 1);
    if (end == std::string_view::npos || host.empty() ||
        host.find_first_not_of("0123456789abcdefABCDEF:.") != std::string_view::npos)
      return refused("the host of the URL is no IPv6 address");
    const auto rest = authority.substr(end + 1);
    if (rest.empty())
      return ok_status();
    return rest.front() == ':' ? check_port(rest.substr(1))
                               : refused("the host of the URL is no IPv6 address");
  }
  const auto colon = authority.find(':');
  const auto host = authority.substr(0, colon);
  const bool named = !host.empty() && host.size() <= 253 && is_letter_or_digit(host.front()) &&
                     std::all_of(host.begin(), host.end(), [](char c) {
                       return is_letter_or_digit(c) || c == '.' || c == '-' || c == '_';
                     });
  if (!named)
    return refused("the URL has no host, or one with characters that a host cannot have");
  return colon == std::string_view::npos ? ok_status() : check_port(authority.substr(colon + 1));
}

result<std::vector<std::string>> placeholders(std::string_view text) {
  std::vector<std::string> out;
  for (std::size_t at = 0; (at = text.find_first_of("{}", at)) != std::string_view::npos;) {
    const auto end = text.find_first_of("{}", at + 1);
    if (text[at] == '}' || end == std::string_view::npos || text[end] == '{')
      return refused("a brace in the URL that does not fit: {name}");
    const auto name = text.substr(at + 1, end - at - 1);
    const bool good = !name.empty() && name.size() <= name_bytes_max &&
                      std::all_of(name.begin(), name.end(), [](char c) {
                        return is_letter_or_digit(c) || c == '_' || c == '-' || c == '.';
                      });
    if (!good)
      return refused("`{" + std::string{name} + "}`: expected the name of an input in the braces");
    out.emplace_back(name);
    at = end + 1;
  }
  return out;
}

}  // namespace

result<std::vector<std::string>> url_placeholders(std::string_view url) {
  if (url.size() > url_bytes_max)
    return refused("the URL is longer than " + std::to_string(url_bytes_max) + " bytes");
  if (std::any_of(url.begin(), url.end(), [](char c) {
        return c <= ' ' || c == 0x7f || c == '"' || c == '<' || c == '>' || c == '\\' || c == '^' ||
               c == '`' || c == '|';
      }))
    return refused("the URL has a space or another character that must be percent-encoded");
  if (url.find("${") != std::string_view::npos)
    return refused("secrets belong into headers, not into the URL");
  std::size_t scheme = 0;
  for (const std::string_view known : {"http://", "https://"})
    if (url.starts_with(known))
      scheme = known.size();
  if (scheme == 0)
    return refused("expected a URL that begins with http:// or https://");
  const auto rest = url.substr(scheme);
  const auto path = std::min(rest.find_first_of("/?#"), rest.size());
  if (auto authority = check_authority(rest.substr(0, path)); !authority)
    return authority.error();
  if (rest.find('#') != std::string_view::npos)
    return refused("a URL that is called has no #fragment");
  return placeholders(rest.substr(path));
}

}  // namespace holdfast
