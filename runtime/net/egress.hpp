#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::net {

/// An IPv4 or IPv6 address. IPv4 uses the first four bytes; a scope id is not kept.
struct ip_address {
  std::array<uint8_t, 16> bytes{};
  bool v6 = false;

  /// Strict: four decimal octets without leading zeros, or RFC 4291 text without brackets or scope.
  static std::optional<ip_address> parse(std::string_view text);
  std::string to_string() const;
  bool operator==(const ip_address&) const = default;
};

/// What an address is for, by the IANA special-purpose registries.
enum class address_kind : uint8_t {
  global,       // anything reachable on the Internet
  loopback,     // 127.0.0.0/8, ::1
  private_use,  // 10/8, 172.16/12, 192.168/16, fc00::/7, and shared space 100.64/10
  link_local,   // 169.254/16 (cloud metadata at 169.254.169.254 included), fe80::/10, fec0::/10
  multicast,    // 224/4, ff00::/8
  unspecified,  // 0.0.0.0/8, ::
  reserved,     // 240/4, broadcast, documentation, benchmarking, protocol assignments, Teredo
};

/// Looks through IPv4-mapped and -compatible, NAT64 and 6to4 addresses at the IPv4 inside.
address_kind classify(const ip_address& address) noexcept;
std::string_view name(address_kind kind) noexcept;

/// A network: `10.1.0.0/16`, `fd00::/8`. A bare address is a network of one.
struct cidr {
  ip_address base;
  unsigned bits = 0;

  /// Nothing when the address is malformed, the length out of range, or host bits are set.
  static std::optional<cidr> parse(std::string_view text);
  /// An IPv4-mapped IPv6 address is compared as the IPv4 address it carries.
  bool contains(const ip_address& address) const noexcept;
};

/// Where outgoing calls may go. The default permits global addresses only. Immutable once shared.
class egress_policy {
public:
  /// Permits everything: for destinations an operator wrote down himself (model endpoints).
  static egress_policy unrestricted();

  /// Permits 127.0.0.0/8 and ::1 (development, tests).
  bool allow_loopback = false;

  /// Adds one rule: `10.1.0.0/16`, `10.1.2.3`, `[fd00::]/8` or `fd00::/8`, each optionally with
  /// `:port` (IPv6 then in brackets: `[fd00::1]:443`, `[fd00::]/8:443`), or `host:port`.
  /// A rule by name opens private and loopback addresses for that name; link-local, multicast,
  /// unspecified and reserved ones only open by address or network. False: not a rule.
  [[nodiscard]] bool allow(std::string_view rule);

  /// The decision for one resolved address. `host` is what was asked for, lower case.
  bool permits(std::string_view host, uint16_t port, const ip_address& address) const;

private:
  struct network_rule {
    cidr network;
    uint16_t port = 0;  // 0: any
  };
  struct host_rule {
    std::string host;
    uint16_t port;
  };
  bool unrestricted_ = false;
  std::vector<network_rule> networks_;
  std::vector<host_rule> hosts_;
};

}  // namespace holdfast::net
