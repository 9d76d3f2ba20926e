#include "runtime/net/tls_context.hpp"

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <ctime>

namespace holdfast::net {

namespace {

// TLS 1.3 has only good ones. Before it: no static RSA, no CBC.
constexpr const char* tls12_ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20";

std::string said_of(const std::string& file, const error_code& failure) {
  return file + ": " + failure.message();
}

}  // namespace

int64_t end_of(const X509* certificate) {
  std::tm at{};
  if (certificate == nullptr || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &at) != 1)
    return 0;
  return static_cast<int64_t>(timegm(&at));
}

std::shared_ptr<tls_context> open_tls(const std::string& certificate_chain,
                                      const std::string& private_key, std::string& why) {
  auto out = std::make_shared<tls_context>();
  auto& context = out->context;
  auto* const raw = context.native_handle();
  SSL_CTX_set_options(
    raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS);
  if (SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_cipher_list(raw, tls12_ciphers) != 1) {
    why = "this OpenSSL has no TLS 1.2 with the ciphers that are asked for";
    return nullptr;
  }
  error_code failure;
  // Without this OpenSSL would ask on the terminal for the passphrase of a key.
  context.set_password_callback(
    [](size_t, asio::ssl::context::password_purpose) { return std::string{}; }, failure);
  context.use_certificate_chain_file(certificate_chain, failure);
  if (failure) {
    why = said_of(certificate_chain, failure);
    return nullptr;
  }
  context.use_private_key_file(private_key, asio::ssl::context::pem, failure);
  if (failure) {
    why = said_of(private_key, failure);
    return nullptr;
  }
  if (SSL_CTX_check_private_key(raw) != 1) {
    why = private_key + ": is not the key of " + certificate_chain;
    return nullptr;
  }
  out->expires_s = end_of(SSL_CTX_get0_certificate(raw));
  return out;
}

}  // namespace holdfast::net
