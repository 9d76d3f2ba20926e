#include "tests/unit/runtime_net/test_certificates.hpp"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace holdfast::net::testing {

namespace {

template <auto Free>
struct free_with {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using key_ptr = std::unique_ptr<EVP_PKEY, free_with<EVP_PKEY_free>>;
using certificate_ptr = std::unique_ptr<X509, free_with<X509_free>>;

void add_extension(X509* to, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, to, nullptr, nullptr, 0);
  std::unique_ptr<X509_EXTENSION, free_with<X509_EXTENSION_free>> extension{
    X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str())};
  if (!extension || X509_add_ext(to, extension.get(), -1) != 1)
    throw std::runtime_error("extension");
}

certificate_ptr make_certificate(EVP_PKEY* key, const char* common_name, int days, long serial) {
  certificate_ptr out{X509_new()};
  X509_set_version(out.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(out.get()), serial);
  constexpr long hour_s = 3'600;
  X509_gmtime_adj(X509_getm_notBefore(out.get()), days < 0 ? days * 24 * hour_s - hour_s : -hour_s);
  X509_gmtime_adj(X509_getm_notAfter(out.get()), days * 24 * hour_s);
  X509_set_pubkey(out.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(out.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(common_name), -1, -1, 0);
  return out;
}

template <class Write>
std::string write_file(const std::filesystem::path& path, Write write) {
  FILE* file = std::fopen(path.c_str(), "w");
  if (!file || write(file) != 1)
    throw std::runtime_error("cannot write " + path.string());
  std::fclose(file);
  return path.string();
}

}  // namespace

struct test_authority::impl {
  std::filesystem::path folder;
  key_ptr key{EVP_EC_gen("P-256")};
  certificate_ptr certificate;
  long serial = 1;
};

test_authority::test_authority() : impl_(std::make_unique<impl>()) {
  auto pattern = (std::filesystem::temp_directory_path() / "holdfast_net_XXXXXX").string();
  if (!mkdtemp(pattern.data()))
    throw std::runtime_error("mkdtemp");
  impl_->folder = pattern;
  impl_->certificate = make_certificate(impl_->key.get(), "Holdfast test CA", 2, impl_->serial++);
  auto* ca = impl_->certificate.get();
  X509_set_issuer_name(ca, X509_get_subject_name(ca));
  add_extension(ca, ca, NID_basic_constraints, "critical,CA:TRUE");
  add_extension(ca, ca, NID_key_usage, "critical,keyCertSign,cRLSign");
  X509_sign(ca, impl_->key.get(), EVP_sha256());
  write_file(ca_file(), [&](FILE* f) { return PEM_write_X509(f, ca); });
}

test_authority::~test_authority() {
  std::error_code ignored;
  std::filesystem::remove_all(impl_->folder, ignored);
}

std::string test_authority::ca_file() const { return (impl_->folder / "ca.pem").string(); }

test_authority::files test_authority::issue(const std::string& subject_alt_names, int days,
                                            const std::string& common_name) {
  const long serial = impl_->serial++;
  key_ptr key{EVP_EC_gen("P-256")};
  auto certificate = make_certificate(key.get(), common_name.c_str(), days, serial);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(impl_->certificate.get()));
  if (!subject_alt_names.empty())
    add_extension(certificate.get(), impl_->certificate.get(), NID_subject_alt_name,
                  subject_alt_names);
  X509_sign(certificate.get(), impl_->key.get(), EVP_sha256());
  const auto base = impl_->folder / std::to_string(serial);
  return {write_file(base.string() + ".pem",
                     [&](FILE* f) { return PEM_write_X509(f, certificate.get()); }),
          write_file(base.string() + ".key", [&](FILE* f) {
            return PEM_write_PrivateKey(f, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
          })};
}

}  // namespace holdfast::net::testing
