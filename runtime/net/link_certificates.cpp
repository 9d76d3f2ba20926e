#include "runtime/net/link_certificates.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <memory>

namespace holdfast::net {

namespace {

struct certificate_free {
  void operator()(X509* c) const { X509_free(c); }
  void operator()(GENERAL_NAMES* n) const { GENERAL_NAMES_free(n); }
};

std::string text_of(const ASN1_STRING* from) {
  unsigned char* utf8 = nullptr;
  const int size = ASN1_STRING_to_UTF8(&utf8, from);
  std::string out;
  if (size > 0)
    out.assign(reinterpret_cast<char*>(utf8), static_cast<size_t>(size));
  OPENSSL_free(utf8);
  return out;
}

std::string explain_verification(long verdict) {
  switch (verdict) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return "presented a certificate of another CA; issue its certificate with the CA in this "
             "node's ca_file, or put that CA there";
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "presented a certificate that has expired; renew it there (or the CA's), and check "
             "the "
             "clocks";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "presented a certificate that is not valid yet; check the clocks of both nodes";
    case X509_V_ERR_INVALID_PURPOSE:
      return "presented a certificate that does not allow this use; its extendedKeyUsage needs "
             "both "
             "clientAuth and serverAuth";
    default:
      return std::string{"presented a certificate that does not verify: "} +
             X509_verify_cert_error_string(verdict);
  }
}

/// What the peer's alert, or what it sent instead of TLS, means.
std::string explain_reason(int reason) {
  switch (reason) {
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return "presented no certificate; set its cert_file and key_file";
    case SSL_R_HTTP_REQUEST:
      return "sent plain HTTP to the TLS port of the node link; a node there needs tls, anything "
             "else "
             "has no business here";
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_HTTPS_PROXY_REQUEST:
      return "does not speak TLS 1.3; check the address, and that it has tls too";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_TLSV1_ALERT_DECRYPT_ERROR:
      return "does not trust the CA of this node's certificate; use the same CA in ca_file and for "
             "cert_file on every node";
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
      return "says that this node's certificate has expired or is not valid yet; renew cert_file, "
             "and "
             "check the clocks";
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      return "wants a certificate; set cert_file and key_file here";
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
      return "says that this node's certificate does not allow this use; its extendedKeyUsage "
             "needs "
             "both clientAuth and serverAuth";
    default:
      return {};
  }
}

}  // namespace

std::string load_link_tls(asio::ssl::context& context, const link_tls& files) {
  auto* native = context.native_handle();
  error_code failure;
  SSL_CTX_set_min_proto_version(native, TLS1_3_VERSION);
  SSL_CTX_set_num_tickets(native, 0);
  SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
  context.load_verify_file(files.ca_file, failure);
  if (failure)
    return "ca_file " + files.ca_file + ": " + failure.message();
  context.use_certificate_chain_file(files.cert_file, failure);
  if (failure)
    return "cert_file " + files.cert_file + ": " + failure.message();
  context.use_private_key_file(files.key_file, asio::ssl::context::pem, failure);
  if (failure)
    return "key_file " + files.key_file + ", which must fit " + files.cert_file + ": " +
           failure.message();
  context.set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert, failure);
  return failure ? failure.message() : std::string{};
}

std::vector<std::string> certificate_names(SSL* ssl) {
  std::vector<std::string> out;
  const std::unique_ptr<X509, certificate_free> certificate{SSL_get1_peer_certificate(ssl)};
  if (!certificate)
    return out;
  const std::unique_ptr<GENERAL_NAMES, certificate_free> names{static_cast<GENERAL_NAMES*>(
    X509_get_ext_d2i(certificate.get(), NID_subject_alt_name, nullptr, nullptr))};
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i)
    if (const auto* name = sk_GENERAL_NAME_value(names.get(), i); name->type == GEN_DNS)
      out.push_back(text_of(name->d.dNSName));
  const auto* subject = X509_get_subject_name(certificate.get());
  for (int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1); at >= 0;
       at = X509_NAME_get_index_by_NID(subject, NID_commonName, at))
    out.push_back(text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at))));
  return out;
}

std::string explain_link_tls(const error_code& failure, SSL* ssl) {
  if (const long verdict = SSL_get_verify_result(ssl); verdict != X509_V_OK)
    return explain_verification(verdict);
  if (failure.category() == asio::error::get_ssl_category()) {
    const auto known = explain_reason(ERR_GET_REASON(static_cast<unsigned long>(failure.value())));
    return known.empty() ? "failed the TLS handshake: " + failure.message() : known;
  }
  return "ended the connection during the TLS handshake (" + failure.message() +
         "); check the address, and that it has tls too";
}

}  // namespace holdfast::net
