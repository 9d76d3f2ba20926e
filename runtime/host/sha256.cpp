#include "runtime/host/sha256.hpp"

#include <openssl/evp.h>
#include <sys/random.h>

#include <memory>

#include "schemas/error.hpp"

namespace holdfast {

namespace {

/// Looked up once: OpenSSL 3 searches its providers at every other use.
const EVP_MD* sha256_algorithm() {
  static EVP_MD* const found = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return found;
}

struct context_end {
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

}  // namespace

std::string sha256(std::string_view bytes) {
  thread_local const std::unique_ptr<EVP_MD_CTX, context_end> context{EVP_MD_CTX_new()};
  std::string out(32, '\0');
  unsigned size = 0;
  const bool done =
    context && EVP_DigestInit_ex(context.get(), sha256_algorithm(), nullptr) == 1 &&
    EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) == 1 &&
    EVP_DigestFinal_ex(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size) == 1;
  HOLDFAST_ASSERT(done && size == out.size(), "OpenSSL makes no SHA-256");
  return out;
}

std::string hex_text(std::string_view bytes) {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const unsigned char byte : bytes) {
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
  return out;
}

std::optional<std::string> bytes_of_hex(std::string_view text) {
  if (text.size() % 2 != 0)
    return std::nullopt;
  std::string out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_digit(text[i]);
    const int low = hex_digit(text[i + 1]);
    if (high < 0 || low < 0)
      return std::nullopt;
    out += static_cast<char>(high * 16 + low);
  }
  return out;
}

bool fill_random(char* out, std::size_t size) {
  while (size > 0) {
    const auto got = ::getrandom(out, size, 0);
    if (got <= 0)
      return false;
    out += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

}  // namespace holdfast
