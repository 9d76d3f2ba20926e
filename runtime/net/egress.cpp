#include "runtime/net/egress.hpp"

#include <arpa/inet.h>
#include <algorithm>
#include <charconv>
#include <cstring>
#include <span>

#include "runtime/net/http_message.hpp"

namespace holdfast::net {

namespace {

bool starts_with_bits(std::span<const uint8_t> bytes, std::span<const uint8_t> prefix,
                      unsigned bits) noexcept {
  const size_t whole = bits / 8;
  if (!std::equal(prefix.begin(), prefix.begin() + static_cast<ptrdiff_t>(whole), bytes.begin()))
    return false;
  const unsigned rest = bits % 8;
  if (rest == 0)
    return true;
  const auto mask = static_cast<uint8_t>(0xff << (8 - rest));
  return ((bytes[whole] ^ prefix[whole]) & mask) == 0;
}

struct special_v4 {
  std::array<uint8_t, 4> prefix;
  unsigned bits;
  address_kind kind;
};

// IANA IPv4 Special-Purpose Address Registry (what is not globally reachable) and multicast.
constexpr std::array<special_v4, 17> special_v4_networks{{
  {{0, 0, 0, 0}, 8, address_kind::unspecified},
  {{10, 0, 0, 0}, 8, address_kind::private_use},
  {{100, 64, 0, 0}, 10, address_kind::private_use},
  {{127, 0, 0, 0}, 8, address_kind::loopback},
  {{169, 254, 0, 0}, 16, address_kind::link_local},
  {{172, 16, 0, 0}, 12, address_kind::private_use},
  {{192, 0, 0, 0}, 24, address_kind::reserved},
  {{192, 0, 2, 0}, 24, address_kind::reserved},
  {{192, 31, 196, 0}, 24, address_kind::reserved},
  {{192, 52, 193, 0}, 24, address_kind::reserved},
  {{192, 88, 99, 0}, 24, address_kind::reserved},
  {{192, 168, 0, 0}, 16, address_kind::private_use},
  {{198, 18, 0, 0}, 15, address_kind::reserved},
  {{198, 51, 100, 0}, 24, address_kind::reserved},
  {{203, 0, 113, 0}, 24, address_kind::reserved},
  {{224, 0, 0, 0}, 4, address_kind::multicast},
  {{240, 0, 0, 0}, 4, address_kind::reserved},
}};

struct special_v6 {
  std::array<uint8_t, 16> prefix;
  unsigned bits;
  address_kind kind;
};

// IANA IPv6 Special-Purpose Address Registry; what embeds an IPv4 address is handled before.
constexpr std::array<special_v6, 10> special_v6_networks{{
  {{0xfe, 0x80}, 10, address_kind::link_local},
  {{0xfe, 0xc0}, 10, address_kind::link_local},  // site-local, deprecated
  {{0xfc, 0x00}, 7, address_kind::private_use},
  {{0xff, 0x00}, 8, address_kind::multicast},
  {{0x20, 0x01, 0x00, 0x00}, 23, address_kind::reserved},  // Teredo, ORCHID, benchmarking
  {{0x20, 0x01, 0x0d, 0xb8}, 32, address_kind::reserved},  // documentation
  {{0x3f, 0xff, 0x00, 0x00}, 20, address_kind::reserved},  // documentation
  {{0x01, 0x00}, 64, address_kind::reserved},              // discard only
  {{0x5f, 0x00}, 16, address_kind::reserved},              // segment routing
  {{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48, address_kind::private_use},  // local-use NAT64
}};

ip_address v4_at(const ip_address& address, size_t offset) noexcept {
  ip_address out;
  std::copy_n(address.bytes.begin() + static_cast<ptrdiff_t>(offset), 4, out.bytes.begin());
  return out;
}

constexpr std::array<uint8_t, 12> mapped_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr std::array<uint8_t, 12> zero_prefix{};
constexpr std::array<uint8_t, 12> nat64_prefix{0x00, 0x64, 0xff, 0x9b};
constexpr std::array<uint8_t, 2> six_to_four_prefix{0x20, 0x02};

bool is_mapped(const ip_address& address) noexcept {
  return address.v6 && starts_with_bits(address.bytes, mapped_prefix, 96);
}

address_kind classify_v4(const ip_address& address) noexcept {
  for (const auto& special : special_v4_networks)
    if (starts_with_bits(address.bytes, special.prefix, special.bits))
      return special.kind;
  return address_kind::global;
}

std::optional<uint16_t> parse_port(std::string_view text) {
  uint16_t port = 0;
  const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || bad != std::errc{} || end != text.data() + text.size() || port == 0)
    return std::nullopt;
  return port;
}

/// Splits off a port where there is one: behind `]`, behind `/bits`, or behind the only colon.
/// False when the brackets do not match or the port is no port. Removes the brackets.
bool split_port(std::string_view rule, std::string& address, uint16_t& port) {
  port = 0;
  address = rule;
  size_t colon = std::string_view::npos;
  if (rule.starts_with('[')) {
    const auto close = rule.find(']');
    if (close == std::string_view::npos)
      return false;
    colon = rule.find(':', close);
    address =
      std::string{rule.substr(1, close - 1)} +
      std::string{rule.substr(
        close + 1, colon == std::string_view::npos ? std::string_view::npos : colon - close - 1)};
    const auto rest = rule.substr(close + 1, 1);
    if (!rest.empty() && rest != ":" && rest != "/")
      return false;
  } else if (std::count(rule.begin(), rule.end(), ':') == 1) {
    colon = rule.find(':');
    address = rule.substr(0, colon);
  }
  if (colon == std::string_view::npos)
    return true;
  const auto parsed = parse_port(rule.substr(colon + 1));
  port = parsed.value_or(0);
  return parsed.has_value();
}

}  // namespace

std::optional<ip_address> ip_address::parse(std::string_view text) {
  if (text.size() >= INET6_ADDRSTRLEN)
    return std::nullopt;
  const std::string terminated{text};
  if (terminated.size() != std::strlen(terminated.c_str()))
    return std::nullopt;
  ip_address out;
  out.v6 = text.find(':') != std::string_view::npos;
  if (inet_pton(out.v6 ? AF_INET6 : AF_INET, terminated.c_str(), out.bytes.data()) != 1)
    return std::nullopt;
  return out;
}

std::string ip_address::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(v6 ? AF_INET6 : AF_INET, bytes.data(), text.data(), text.size());
  return text.data();
}

address_kind classify(const ip_address& address) noexcept {
  if (!address.v6)
    return classify_v4(address);
  if (is_mapped(address) || starts_with_bits(address.bytes, nat64_prefix, 96))
    return classify_v4(v4_at(address, 12));
  if (starts_with_bits(address.bytes, six_to_four_prefix, 16)) {
    // 6to4 is deprecated and 2002::/16 is not to be relied on; public only if the IPv4 is.
    return classify_v4(v4_at(address, 2));
  }
  if (starts_with_bits(address.bytes, zero_prefix, 96)) {
    const auto low = v4_at(address, 12);
    if (low.bytes[0] == 0 && low.bytes[1] == 0 && low.bytes[2] == 0 && low.bytes[3] == 1)
      return address_kind::loopback;
    return classify_v4(low);  // IPv4-compatible; `::` is 0.0.0.0
  }
  for (const auto& special : special_v6_networks)
    if (starts_with_bits(address.bytes, special.prefix, special.bits))
      return special.kind;
  return address_kind::global;
}

std::string_view name(address_kind kind) noexcept {
  switch (kind) {
    case address_kind::global:
      return "global";
    case address_kind::loopback:
      return "loopback";
    case address_kind::private_use:
      return "private_use";
    case address_kind::link_local:
      return "link_local";
    case address_kind::multicast:
      return "multicast";
    case address_kind::unspecified:
      return "unspecified";
    case address_kind::reserved:
      return "reserved";
  }
  return "unknown";
}

std::optional<cidr> cidr::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto base = ip_address::parse(text.substr(0, slash));
  if (!base)
    return std::nullopt;
  const unsigned bits_max = base->v6 ? 128 : 32;
  cidr out{*base, bits_max};
  if (slash != std::string_view::npos) {
    const auto length = text.substr(slash + 1);
    const auto [end, bad] = std::from_chars(length.data(), length.data() + length.size(), out.bits);
    if (length.empty() || bad != std::errc{} || end != length.data() + length.size() ||
        out.bits > bits_max)
      return std::nullopt;
  }
  for (unsigned bit = out.bits; bit < bits_max; ++bit)
    if (out.base.bytes[bit / 8] & (0x80u >> (bit % 8)))
      return std::nullopt;
  return out;
}

bool cidr::contains(const ip_address& address) const noexcept {
  if (is_mapped(address) && !base.v6)
    return contains(v4_at(address, 12));
  return address.v6 == base.v6 && starts_with_bits(address.bytes, base.bytes, bits);
}

egress_policy egress_policy::unrestricted() {
  egress_policy policy;
  policy.unrestricted_ = true;
  return policy;
}

bool egress_policy::allow(std::string_view rule) {
  // A bare IPv6 network has several colons and no port; everything else splits cleanly.
  if (const auto network = cidr::parse(rule)) {
    networks_.push_back({*network, 0});
    return true;
  }
  std::string address;
  uint16_t port = 0;
  if (!split_port(rule, address, port))
    return false;
  if (const auto network = cidr::parse(address)) {
    networks_.push_back({*network, port});
    return true;
  }
  const bool is_name =
    !address.empty() && port != 0 && std::all_of(address.begin(), address.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '-' || c == '.' || c == '_';
    });
  if (!is_name || rule.starts_with('['))
    return false;
  if (address.ends_with('.'))
    address.pop_back();
  hosts_.push_back({address, port});
  return true;
}

bool egress_policy::permits(std::string_view host, uint16_t port, const ip_address& address) const {
  if (unrestricted_)
    return true;
  for (const auto& rule : networks_)
    if ((rule.port == 0 || rule.port == port) && rule.network.contains(address))
      return true;
  const auto kind = classify(address);
  if (kind == address_kind::global)
    return true;
  if (kind == address_kind::loopback && allow_loopback)
    return true;
  if (kind != address_kind::loopback && kind != address_kind::private_use)
    return false;
  if (host.ends_with('.'))
    host.remove_suffix(1);
  return std::any_of(hosts_.begin(), hosts_.end(), [&](const host_rule& rule) {
    return rule.port == port && equals_ignoring_case(rule.host, host);
  });
}

}  // namespace holdfast::net
