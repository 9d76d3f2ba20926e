#pragma once

#include <openssl/types.h>
#include <boost/asio/ssl/context.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "runtime/net/asio_types.hpp"

namespace holdfast::net {

/// A server's certificate and key, ready for handshakes. Connections that began with it go on when
/// it is replaced.
struct tls_context {
  asio::ssl::context context;
  int64_t expires_s = 0;  ///< the certificate's end, in seconds since 1970

  tls_context() : context(asio::ssl::context::tls_server) {}
};

/// When a certificate ends, in seconds since 1970; 0 for null, or when it does not say.
int64_t end_of(const X509* certificate);

/// TLS 1.2 and 1.3, forward secrecy and authenticated encryption only. Nothing on failure: `why`
/// then names the file and says what is wrong with it.
std::shared_ptr<tls_context> open_tls(const std::string& certificate_chain,
                                      const std::string& private_key, std::string& why);

}  // namespace holdfast::net
