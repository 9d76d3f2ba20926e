#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace holdfast::net {

/// An absolute http or https URL, taken apart. Parts are normalised as noted, not decoded.
struct url {
  std::string scheme;  ///< `http` or `https`
  std::string host;    ///< lower case; IPv6 without brackets; no trailing dot
  uint16_t port = 0;   ///< explicit or the scheme's default
  std::string path;    ///< starts with '/'
  std::string query;   ///< without '?'
  bool has_query = false;
  bool ipv6 = false;  ///< `host` is an IPv6 literal

  /// `Host` header: brackets around IPv6, port left out when it is the scheme's default.
  std::string authority() const;
  /// Request target: path and query.
  std::string target() const;
  /// `https://host:port`, always with the port: the key of a connection pool.
  std::string origin() const;
};

/// Why a text is no usable URL.
enum class url_failure : uint8_t {
  none,
  not_absolute,  // no scheme, or nothing behind it
  scheme,        // neither http nor https
  user_info,     // user:password@ is refused: it leaks, and it hides the real host
  host,          // empty or malformed
  port,          // not 1..65535
  character,     // a byte that must be percent-encoded, or a bad percent escape
};

std::string_view name(url_failure failure) noexcept;

/// RFC 3986, narrowed: http(s) only, ASCII only, no user info; a fragment is dropped. On failure
/// returns nothing and, if asked, says why.
std::optional<url> parse_url(std::string_view text, url_failure* why = nullptr);

/// Splits a request target at the first '?'. The views point into `target`.
struct target_parts {
  std::string_view path;
  std::string_view query;  ///< without '?', empty when there is none
};
target_parts split_target(std::string_view target) noexcept;

/// Encodes everything but unreserved characters, so that the result is one path segment: '/' too.
/// `.` and `..` stay steps in the path however they are written: see `is_dot_segment`.
std::string percent_encode_segment(std::string_view text);

/// True for `.` and `..`, which no encoding makes safe: refuse them as a segment.
inline bool is_dot_segment(std::string_view text) noexcept { return text == "." || text == ".."; }

/// Encodes everything but unreserved characters: one key or value of a query (space is `%20`).
std::string percent_encode_query(std::string_view text);

enum class plus_sign : uint8_t { literal, space };

/// Decodes `%XX`. Nothing when an escape is cut short or not hexadecimal, or when it decodes to
/// NUL.
std::optional<std::string> percent_decode(std::string_view text,
                                          plus_sign plus = plus_sign::literal);

/// Splits a path at '/' and decodes each segment: `/a/b%2Fc` gives `a`, `b/c`. A leading '/' is
/// required, a trailing one gives a last empty segment. Nothing when a segment does not decode, or
/// is `.` or `..`.
std::optional<std::vector<std::string>> split_path(std::string_view path);

/// Decodes `a=1&b=two+words` (application/x-www-form-urlencoded). Nothing when a part does not
/// decode.
std::optional<std::vector<std::pair<std::string, std::string>>> parse_query(std::string_view query);

}  // namespace holdfast::net
