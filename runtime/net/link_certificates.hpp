#pragma once

#include <openssl/types.h>
#include <boost/asio/ssl/context.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/net/asio_types.hpp"
#include "runtime/net/peer_link.hpp"

namespace holdfast::net {

/// One side's TLS of the node link: TLS 1.3 only, the peer must show a certificate of `ca_file`.
/// Returns what is wrong with the files; empty: ready.
std::string load_link_tls(asio::ssl::context& context, const link_tls& files);

/// The names a verified peer's certificate carries: DNS alternative names, then common names.
std::vector<std::string> certificate_names(SSL* ssl);

/// Why TLS failed, continuing "n2 at 10.0.0.12:7071 ...", with what to do.
std::string explain_link_tls(const error_code& failure, SSL* ssl);

}  // namespace holdfast::net
