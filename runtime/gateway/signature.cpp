#include "runtime/gateway/signature.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <charconv>
#include <optional>

#include "runtime/gateway/base64.hpp"
#include "schemas/units.hpp"

namespace holdfast {

namespace {

const EVP_MD* algorithm_of(std::string_view name) noexcept {
  if (name == "sha256")
    return EVP_sha256();
  if (name == "sha1")
    return EVP_sha1();
  if (name == "sha512")
    return EVP_sha512();
  return nullptr;
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

std::optional<std::string> from_hex(std::string_view text) {
  if (text.size() % 2 != 0)
    return std::nullopt;
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]);
    const int low = hex_value(text[i + 1]);
    if (high < 0 || low < 0)
      return std::nullopt;
    out += static_cast<char>(high * 16 + low);
  }
  return out;
}

/// `{timestamp}` and `{body}` in the template, put in place in one pass: what is put in is not
/// looked at again.
std::string signed_content(std::string_view pattern, std::string_view timestamp,
                           std::string_view body) {
  std::string out;
  out.reserve(pattern.size() + timestamp.size() + body.size());
  while (!pattern.empty()) {
    const auto mark = pattern.find('{');
    out += pattern.substr(0, mark);
    if (mark == std::string_view::npos)
      break;
    pattern.remove_prefix(mark);
    if (pattern.starts_with("{timestamp}")) {
      out += timestamp;
      pattern.remove_prefix(11);
    } else if (pattern.starts_with("{body}")) {
      out += body;
      pattern.remove_prefix(6);
    } else {
      out += '{';
      pattern.remove_prefix(1);
    }
  }
  return out;
}

/// Unix seconds, Unix milliseconds (13 digits and more) or RFC 3339.
std::optional<time_us> timestamp_of(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (!text.empty() && failed == std::errc{} && end == text.data() + text.size()) {
    constexpr std::int64_t largest =
      100'000'000'000'000;  // far beyond every clock, far below overflow
    if (number < 0 || number > largest)
      return std::nullopt;
    return text.size() >= 13 ? number * 1'000 : number * 1'000'000;
  }
  const auto at = parse_time(text);
  if (!at)
    return std::nullopt;
  return *at;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

std::string hmac_digest(std::string_view algorithm, std::string_view secret,
                        std::string_view content) {
  const EVP_MD* digest = algorithm_of(algorithm);
  if (digest == nullptr)
    return {};
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (HMAC(digest, secret.data(), static_cast<int>(secret.size()),
           reinterpret_cast<const unsigned char*>(content.data()), content.size(), out,
           &size) == nullptr)
    return {};
  return {reinterpret_cast<const char*>(out), size};
}

status check_signature(const hmac_definition& how, const std::vector<std::string>& secrets,
                       const net::http_request& request, time_us now) {
  const error bad{errc::bad_signature,
                  "the header " + how.header + " does not sign this body with the hook's secret"};
  auto given = request.header(how.header);
  if (given.empty() || !given.starts_with(how.prefix))
    return bad;
  given.remove_prefix(how.prefix.size());
  const auto signature = how.encoding == "base64" ? from_base64(given) : from_hex(given);
  const auto stamp =
    how.timestamp_header.empty() ? std::string_view{} : request.header(how.timestamp_header);
  if (!signature || signature->empty() || (!how.timestamp_header.empty() && stamp.empty()))
    return bad;
  const auto content = signed_content(how.content_template, stamp, request.body);
  bool matched = false;
  for (const auto& secret : secrets) {
    const auto expected =
      secret.empty() ? std::string{} : hmac_digest(how.algorithm, secret, content);
    matched = (!expected.empty() && equal_in_constant_time(expected, *signature)) || matched;
  }
  if (!matched)
    return bad;
  if (how.timestamp_header.empty())
    return ok_status();
  const auto signed_at = timestamp_of(stamp);
  if (!signed_at)
    return bad;
  const std::int64_t off_us = now > *signed_at ? now - *signed_at : *signed_at - now;
  if (off_us > how.tolerance_ms * 1'000)
    return error{errc::stale_signature,
                 "the header " + how.timestamp_header + " is off this node's clock by more than " +
                   format_duration_ms(how.tolerance_ms) + "; sign again and send again"};
  return ok_status();
}

}  // namespace holdfast
