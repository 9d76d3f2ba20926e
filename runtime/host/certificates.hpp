#pragma once
// A private certificate authority and what it signs: for the node link and for HTTPS, with one certificate per node.
// EC P-256, SHA-256, X.509 v3 (RFC 5280); PEM text in and out. No files, no clock.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/error.hpp"
#include "schemas/ids.hpp"

namespace holdfast {

/// The key is unencrypted PKCS #8: a secret.
struct certificate_pem {
  std::string certificate;
  std::string key;
};

inline constexpr std::int64_t authority_days = 3'650;

/// One that signs certificates of nodes and nothing further down. Valid from a little before `now`, for clocks that
/// differ. Errors: `internal`.
result<certificate_pem> make_authority(std::string_view name, std::int64_t days, time_us now);

struct node_certificate {
  std::string node;  ///< common name and DNS name: what the node link checks
  std::vector<std::string>
    hosts;                  ///< further DNS names and IP addresses; the loopback ones are added
  std::int64_t days = 365;  ///< at most until the authority's end
};
/// For servers and clients. Errors: `schema` (the authority does not parse, does not fit its key or is none), `gone`
/// (it has expired), `malformed` (a host is none), `internal`.
result<certificate_pem> make_certificate(const certificate_pem& authority,
                                         const node_certificate& wanted, time_us now);

}  // namespace holdfast
