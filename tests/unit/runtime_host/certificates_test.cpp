#include "runtime/host/certificates.hpp"

#include <doctest/doctest.h>

#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "runtime/host/certificate_folder.hpp"

using namespace holdfast;
namespace fs = std::filesystem;

namespace {

constexpr time_us made_at = 1'795'248'000'000'000;  // 2026-11-21T08:00:00Z
constexpr time_us one_day = 86'400'000'000;

using certificate = std::shared_ptr<X509>;
certificate parse(const std::string& pem) {
  const std::shared_ptr<BIO> in{BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                BIO_free};
  certificate out{PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr), X509_free};
  REQUIRE(out);
  return out;
}

/// What a strict peer says of it at that time; X509_V_OK is good.
int verdict(const std::string& authority, const std::string& leaf, int purpose, time_us at) {
  const auto ca = parse(authority);
  const auto own = parse(leaf);
  const std::shared_ptr<X509_STORE> trusted{X509_STORE_new(), X509_STORE_free};
  X509_STORE_add_cert(trusted.get(), ca.get());
  const std::shared_ptr<X509_STORE_CTX> check{X509_STORE_CTX_new(), X509_STORE_CTX_free};
  REQUIRE(X509_STORE_CTX_init(check.get(), trusted.get(), own.get(), nullptr) == 1);
  auto* rules = X509_STORE_CTX_get0_param(check.get());
  X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_X509_STRICT);
  X509_VERIFY_PARAM_set_purpose(rules, purpose);
  X509_VERIFY_PARAM_set_time(rules, at / 1'000'000);
  return X509_verify_cert(check.get()) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(check.get());
}

bool is_for(const std::string& leaf, const char* host) {
  return X509_check_host(parse(leaf).get(), host, 0, 0, nullptr) == 1 ||
         X509_check_ip_asc(parse(leaf).get(), host, 0) == 1;
}

struct certificates_folder {
  fs::path path;
  certificates_folder() {
    auto name = (fs::temp_directory_path() / "holdfast-certs-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = fs::path{name} / "certs";
  }
  ~certificates_folder() { fs::remove_all(path.parent_path()); }
  std::string text(const char* name) const {
    std::ifstream in{path / name};
    return {std::istreambuf_iterator<char>{in}, {}};
  }
  auto make(const std::vector<std::string>& nodes, bool renew = false) const {
    std::vector<node_certificate> wanted;
    for (const auto& node : nodes)
      wanted.push_back({node, {}, 365});
    return make_certificates(path, wanted, renew, made_at);
  }
};

}  // namespace

TEST_CASE("certificates: a node's is good for both ends of a link and for HTTPS") {
  const auto ca = make_authority("test CA", 3'650, made_at);
  REQUIRE(ca);
  const auto n1 = make_certificate(*ca, {"n1", {"10.0.0.11", "n1.example.com"}, 365}, made_at);
  REQUIRE(n1);
  for (const auto purpose : {X509_PURPOSE_SSL_SERVER, X509_PURPOSE_SSL_CLIENT}) {
    CHECK(verdict(ca->certificate, n1->certificate, purpose, made_at) == X509_V_OK);
    CHECK(verdict(ca->certificate, n1->certificate, purpose, made_at + 364 * one_day) == X509_V_OK);
    CHECK(verdict(ca->certificate, n1->certificate, purpose, made_at + 366 * one_day) ==
          X509_V_ERR_CERT_HAS_EXPIRED);
  }
  for (const auto* host : {"n1", "localhost", "127.0.0.1", "::1", "10.0.0.11", "n1.example.com"})
    CHECK_MESSAGE(is_for(n1->certificate, host), host);
  for (const auto* host : {"n2", "10.0.0.12", "example.com"})
    CHECK_MESSAGE(!is_for(n1->certificate, host), host);
  CHECK(n1->key.starts_with("-----BEGIN PRIVATE KEY-----"));
}

TEST_CASE("certificates: another authority's is not trusted, and a node signs for nobody") {
  const auto ca = make_authority("test CA", 3'650, made_at);
  const auto other = make_authority("test CA", 3'650, made_at);
  REQUIRE(ca);
  REQUIRE(other);
  const auto n1 = make_certificate(*ca, {"n1", {}, 365}, made_at);
  REQUIRE(n1);
  CHECK(verdict(other->certificate, n1->certificate, X509_PURPOSE_SSL_SERVER, made_at) !=
        X509_V_OK);
  CHECK(make_certificate(*n1, {"n2", {}, 365}, made_at).error().code == errc::schema);
  CHECK(make_certificate({ca->certificate, other->key}, {"n2", {}, 365}, made_at).error().code ==
        errc::schema);
  CHECK(make_certificate({"x", "y"}, {"n2", {}, 365}, made_at).error().code == errc::schema);
}

TEST_CASE("certificates: none outlives its authority") {
  const auto ca = make_authority("test CA", 30, made_at);
  REQUIRE(ca);
  const auto n1 = make_certificate(*ca, {"n1", {}, 365}, made_at);
  REQUIRE(n1);
  CHECK(ASN1_TIME_compare(X509_get0_notAfter(parse(n1->certificate).get()),
                          X509_get0_notAfter(parse(ca->certificate).get())) == 0);
  CHECK(make_certificate(*ca, {"n1", {}, 365}, made_at + 31 * one_day).error().code == errc::gone);
}

TEST_CASE("certificates: what is no host is refused") {
  const auto ca = make_authority("test CA", 30, made_at);
  REQUIRE(ca);
  for (const auto* host : {"", "a b", "x,DNS:y", "*.example.com", "-x", "a/b"})
    CHECK_MESSAGE(
      make_certificate(*ca, {"n1", {host}, 365}, made_at).error().code == errc::malformed, host);
}

TEST_CASE("certificate folder: keys are their owner's alone") {
  const certificates_folder at;
  const auto made = at.make({"n1", "n2"});
  REQUIRE(made);
  CHECK(made->authority);
  CHECK(made->files.size() == 6);
  for (const auto* name : {"ca.key", "n1.key", "n2.key"}) {
    struct stat known {};
    REQUIRE(::stat((at.path / name).c_str(), &known) == 0);
    CHECK((known.st_mode & 0777) == 0600);
  }
  CHECK(verdict(at.text("ca.pem"), at.text("n2.pem"), X509_PURPOSE_SSL_SERVER, made_at) ==
        X509_V_OK);
}

TEST_CASE("certificate folder: an authority that is there signs and is never replaced") {
  const certificates_folder at;
  REQUIRE(at.make({"n1"}));
  const auto ca = at.text("ca.pem") + at.text("ca.key");
  const auto n1 = at.text("n1.pem");
  const auto again = at.make({"n2", "n1"});
  REQUIRE(!again);
  CHECK(again.error().code == errc::conflict);
  CHECK(!fs::exists(at.path / "n2.pem"));  // all or nothing
  const auto added = at.make({"n2"});
  REQUIRE(added);
  CHECK(!added->authority);
  CHECK(verdict(at.text("ca.pem"), at.text("n2.pem"), X509_PURPOSE_SSL_CLIENT, made_at) ==
        X509_V_OK);
  REQUIRE(at.make({"n1"}, true));
  CHECK(at.text("n1.pem") != n1);
  CHECK(at.text("ca.pem") + at.text("ca.key") == ca);
}

TEST_CASE("certificate folder: half of an authority signs nothing") {
  for (const auto* missing : {"ca.pem", "ca.key"}) {
    const certificates_folder at;
    REQUIRE(at.make({"n1"}));
    fs::remove(at.path / missing);
    CHECK(at.make({"n2"}).error().code == errc::conflict);
    CHECK(!fs::exists(at.path / missing));
  }
}
