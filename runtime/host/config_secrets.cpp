#include "runtime/host/config_secrets.hpp"

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <utility>

namespace holdfast {

namespace {

constexpr std::size_t secret_bytes_max = 64 * 1024;

result<std::string> checked(std::string value, std::string_view name) {
  if (!value.empty() && value.back() == '\n')
    value.pop_back();
  if (!value.empty() && value.back() == '\r')
    value.pop_back();
  if (value.size() > secret_bytes_max)
    return error{errc::too_large, "secret `" + std::string{name} + "` is larger than 64KiB"};
  if (value.empty())
    return error{errc::schema, "secret `" + std::string{name} + "` is empty"};
  return value;
}

result<std::string> from_file(const std::filesystem::path& path, std::string_view name) {
  std::ifstream in{path, std::ios::binary};
  std::string value(secret_bytes_max + 3, '\0');
  in.read(value.data(), static_cast<std::streamsize>(value.size()));
  if (in.bad() || (in.fail() && !in.eof()))
    return error{errc::io_failure,
                 "secret `" + std::string{name} + "`: cannot read " + path.string()};
  value.resize(static_cast<std::size_t>(in.gcount()));
  return checked(std::move(value), name);
}

}  // namespace

secret_store::secret_store(std::map<std::string, secret_source, std::less<>> sources,
                           environment env)
  : sources_(std::move(sources)), env_(std::move(env)) {}

result<std::string> secret_store::secret(std::string_view name) const {
  if (!is_secret_name(name))
    return error{errc::schema, "not a secret's name: lower-case letters, digits, - and _"};
  const auto source = sources_.find(name);
  if (source != sources_.end())
    if (const auto* file = std::get_if<secret_from_file>(&source->second))
      return from_file(file->path, name);
  const auto variable = source != sources_.end()
                          ? std::get<secret_from_env>(source->second).variable
                          : secret_variable(name);
  const auto value = env_.find(variable);
  if (value != env_.end())
    return checked(value->second, name);
  return error{errc::not_found,
               "secret `" + std::string{name} + "` is missing: set " + variable +
                 (source != sources_.end()
                    ? ""
                    : ", or name its place under `secrets` in the node's configuration")};
}

bool is_secret_name(std::string_view name) noexcept {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  };
  return !name.empty() && name.size() <= 63 && name.front() >= 'a' && name.front() <= 'z' &&
         std::all_of(name.begin(), name.end(), fits);
}

std::string secret_variable(std::string_view name) {
  std::string out = "HOLDFAST_SECRET_";
  for (const char c : name)
    out += c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return out;
}

}  // namespace holdfast
