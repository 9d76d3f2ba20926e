#include "runtime/host/config_auth.hpp"

#include <array>
#include <fstream>
#include <iterator>
#include <utility>

#include "runtime/host/config_reader.hpp"
#include "runtime/host/key_file.hpp"

namespace holdfast {

namespace {

bool can_be_read(const std::filesystem::path& file) {
  std::ifstream in{file, std::ios::binary};
  return in && in.peek() != std::ifstream::traits_type::eof();
}

bool read_pem(map_reader& in, const char* name, const char* what, const std::filesystem::path& base,
              std::filesystem::path& out) {
  std::string text;
  if (!in.text(name, text)) {
    if (!in.has(name))
      in.missing(name, what);
    return false;
  }
  out = (base / text).lexically_normal();
  if (can_be_read(out))
    return true;
  in.problem(in.node().find(name)->value, "/" + std::string{name},
             "`tls." + std::string{name} + "`: " + out.string() + " cannot be read, or is empty");
  return false;
}

}  // namespace

void read_tls(map_reader in, const std::filesystem::path& base, tls_config& out) {
  constexpr std::array<std::pair<std::string_view, bool>, 1> ends{{{"proxy", true}}};
  if (in.has("terminated_by")) {
    in.choice("terminated_by", out.by_proxy, ends);
    for (const char* name : {"cert", "key"})
      if (const auto* entry = in.take(name))
        in.problem(
          entry->value, "/" + std::string{name},
          "`tls." + std::string{name} + "`: a proxy ends TLS; remove this or `terminated_by`");
  } else {
    tls_config own;
    const bool cert = read_pem(in, "cert", "a PEM file, or `terminated_by: proxy`", base, own.cert);
    const bool key =
      read_pem(in, "key", "the certificate's private key, a PEM file", base, own.key);
    if (cert && key)
      out = std::move(own);
  }
  in.finish();
}

void read_auth(map_reader in, const std::filesystem::path& base, const std::filesystem::path& file,
               auth_config& out) {
  const auto* keys = in.take("keys");
  std::string keys_file;
  const bool from_file = in.text("keys_file", keys_file);
  if (keys != nullptr && from_file)
    in.problem(keys->value, "/keys", "`auth.keys`: there is a `keys_file` too; keep one of them");
  if (keys == nullptr && !in.has("keys_file"))
    in.missing("keys_file", "a file that `holdfast auth key create NAME --roles ROLE` writes");
  out.on = true;
  if (from_file) {
    out.file = (base / keys_file).lexically_normal();
    if (auto read = read_key_file(out.file))
      out.keys = std::move(*read);
    else
      in.problem(in.node().find("keys_file")->value, "/keys_file",
                 "`auth.keys_file`: " + read.error().context);
  } else if (keys != nullptr) {
    out.file = file;
    out.inline_keys = true;
    out.keys = read_keys(keys->value, in.pointer_of("keys"), in.problems());
  }
  in.finish();
}

result<std::vector<api_key>> load_keys(const auth_config& from) {
  if (!from.inline_keys)
    return read_key_file(from.file);
  std::ifstream in{from.file, std::ios::binary};
  if (!in)
    return error{errc::io_failure, from.file.string() + ": cannot be read"};
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  auto parsed = parse_documents(text);
  const document_entry* auth = nullptr;
  if (parsed.problems.empty() && parsed.documents.size() == 1)
    auth = parsed.documents.front().find("auth");
  const auto* keys = auth == nullptr ? nullptr : auth->value.find("keys");
  if (parsed.problems.empty() && keys == nullptr)
    return error{errc::schema,
                 from.file.string() + ": there is no `auth: { keys: [...] }` any more"};
  std::vector<api_key> out;
  if (parsed.problems.empty())
    out = read_keys(keys->value, "/auth/keys", parsed.problems);
  if (!parsed.problems.empty())
    return error{errc::schema, place_of(from.file, parsed.problems.front())};
  return out;
}

}  // namespace holdfast
