#include "runtime/host/certificates.hpp"

#include <arpa/inet.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <memory>

namespace holdfast {

namespace {

struct ssl_end {
  void operator()(X509* one) const { X509_free(one); }
  void operator()(EVP_PKEY* one) const { EVP_PKEY_free(one); }
  void operator()(BIO* one) const { BIO_free_all(one); }
  void operator()(BIGNUM* one) const { BN_free(one); }
  void operator()(X509_EXTENSION* one) const { X509_EXTENSION_free(one); }
};
template <class T>
using owned = std::unique_ptr<T, ssl_end>;

constexpr std::int64_t clock_skew_s = 300;
constexpr std::int64_t day_s = 86'400;
constexpr int serial_bits = 159;  // positive, in at most 20 bytes (RFC 5280, 4.1.2.2)
constexpr std::size_t host_bytes_max = 253;

const error no_openssl{errc::internal, "OpenSSL could not make the certificate"};

template <class Write>
std::string pem_text(Write write) {
  const owned<BIO> out{BIO_new(BIO_s_mem())};
  if (!out || write(out.get()) != 1)
    return {};
  char* data = nullptr;
  const auto size = BIO_get_mem_data(out.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

owned<BIO> reader_of(const std::string& text) {
  return owned<BIO>{BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))};
}

bool set_times(X509* one, std::int64_t from_s, std::int64_t until_s) {
  return ASN1_TIME_set(X509_getm_notBefore(one), from_s) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(one), until_s) != nullptr;
}

bool set_serial(X509* one) {
  const owned<BIGNUM> number{BN_new()};
  return number && BN_rand(number.get(), serial_bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(one)) != nullptr;
}

bool set_name(X509_NAME* of, std::string_view name) {
  return X509_NAME_add_entry_by_txt(of, "CN", MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(name.data()),
                                    static_cast<int>(name.size()), -1, 0) == 1;
}

bool add_extension(X509* to, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context{};
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, to, nullptr, nullptr, 0);
  const owned<X509_EXTENSION> made{X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str())};
  return made && X509_add_ext(to, made.get(), -1) == 1;
}

/// Everything but names, times and extensions.
owned<X509> begin_certificate(EVP_PKEY* key) {
  owned<X509> made{X509_new()};
  if (!made || X509_set_version(made.get(), X509_VERSION_3) != 1 || !set_serial(made.get()) ||
      X509_set_pubkey(made.get(), key) != 1)
    return nullptr;
  return made;
}

result<certificate_pem> sign(X509* made, EVP_PKEY* own, EVP_PKEY* by) {
  if (X509_sign(made, by, EVP_sha256()) == 0)
    return no_openssl;
  certificate_pem out;
  out.certificate = pem_text([&](BIO* to) { return PEM_write_bio_X509(to, made); });
  out.key = pem_text([&](BIO* to) {
    return PEM_write_bio_PKCS8PrivateKey(to, own, nullptr, nullptr, 0, nullptr, nullptr);
  });
  if (out.certificate.empty() || out.key.empty())
    return no_openssl;
  return out;
}

bool is_ip(const std::string& host) {
  unsigned char bytes[16];
  return ::inet_pton(AF_INET, host.c_str(), bytes) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

bool is_dns_name(std::string_view host) {
  return !host.empty() && host.size() <= host_bytes_max && host.front() != '.' &&
         host.front() != '-' && std::all_of(host.begin(), host.end(), [](unsigned char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '.';
         });
}

/// The value of subjectAltName. Errors: `malformed`.
result<std::string> names_text(const node_certificate& wanted) {
  std::vector<std::string> hosts{wanted.node, "localhost", "127.0.0.1", "::1"};
  for (const auto& host : wanted.hosts)
    if (std::find(hosts.begin(), hosts.end(), host) == hosts.end())
      hosts.push_back(host);
  std::string out;
  for (const auto& host : hosts) {
    const bool ip = is_ip(host);
    if (!ip && !is_dns_name(host))
      return error{errc::malformed, "`" + host + "` is neither an IP address nor a host name"};
    out += (out.empty() ? "" : ",") + std::string{ip ? "IP:" : "DNS:"} + host;
  }
  return out;
}

struct authority {
  owned<X509> certificate;
  owned<EVP_PKEY> key;
};

result<authority> read_authority(const certificate_pem& pem) {
  authority out;
  if (const auto from = reader_of(pem.certificate))
    out.certificate.reset(PEM_read_bio_X509(from.get(), nullptr, nullptr, nullptr));
  if (const auto from = reader_of(pem.key))
    out.key.reset(PEM_read_bio_PrivateKey(from.get(), nullptr, nullptr, nullptr));
  if (!out.certificate || !out.key)
    return error{errc::schema, "the CA's certificate or key is no PEM that can be read"};
  if (X509_check_private_key(out.certificate.get(), out.key.get()) != 1)
    return error{errc::schema, "the CA's key does not fit its certificate"};
  if (X509_check_ca(out.certificate.get()) != 1)
    return error{errc::schema, "this is not the certificate of a CA"};
  return out;
}

/// Seconds from `now_s` to the end of a certificate; negative when it is over.
std::int64_t seconds_left(const X509* of, std::int64_t now_s) {
  int days = 0;
  int seconds = 0;
  const std::unique_ptr<ASN1_TIME, void (*)(ASN1_TIME*)> now{ASN1_TIME_set(nullptr, now_s),
                                                             ASN1_TIME_free};
  if (!now || ASN1_TIME_diff(&days, &seconds, now.get(), X509_get0_notAfter(of)) != 1)
    return -1;
  return days * day_s + seconds;
}

}  // namespace

result<certificate_pem> make_authority(std::string_view name, std::int64_t days, time_us now) {
  const auto now_s = now / 1'000'000;
  const owned<EVP_PKEY> key{EVP_EC_gen("P-256")};
  auto made = key ? begin_certificate(key.get()) : nullptr;
  auto* const x = made.get();
  if (!made || !set_times(x, now_s - clock_skew_s, now_s + days * day_s) ||
      !set_name(X509_get_subject_name(x), name) ||
      X509_set_issuer_name(x, X509_get_subject_name(x)) != 1 ||
      !add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
      !add_extension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !add_extension(x, x, NID_subject_key_identifier, "hash"))
    return no_openssl;
  return sign(x, key.get(), key.get());
}

result<certificate_pem> make_certificate(const certificate_pem& authority_pem,
                                         const node_certificate& wanted, time_us now) {
  const auto names = names_text(wanted);
  if (!names)
    return names.error();
  const auto by = read_authority(authority_pem);
  if (!by)
    return by.error();
  const auto now_s = now / 1'000'000;
  auto* const issuer = by->certificate.get();
  const auto left_s = seconds_left(issuer, now_s);
  if (left_s <= 0)
    return error{errc::gone, "the CA has expired; make a new one in another folder"};
  const owned<EVP_PKEY> key{EVP_EC_gen("P-256")};
  auto made = key ? begin_certificate(key.get()) : nullptr;
  auto* const x = made.get();
  if (!made || !set_times(x, now_s - clock_skew_s, now_s + std::min(left_s, wanted.days * day_s)) ||
      !set_name(X509_get_subject_name(x), wanted.node) ||
      X509_set_issuer_name(x, X509_get_subject_name(issuer)) != 1 ||
      !add_extension(x, issuer, NID_basic_constraints, "critical,CA:FALSE") ||
      !add_extension(x, issuer, NID_key_usage, "critical,digitalSignature") ||
      !add_extension(x, issuer, NID_ext_key_usage, "serverAuth,clientAuth") ||
      !add_extension(x, issuer, NID_subject_alt_name, *names) ||
      !add_extension(x, issuer, NID_subject_key_identifier, "hash") ||
      !add_extension(x, issuer, NID_authority_key_identifier, "keyid:always"))
    return no_openssl;
  return sign(x, key.get(), by->key.get());
}

}  // namespace holdfast
