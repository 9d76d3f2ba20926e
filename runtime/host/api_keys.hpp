#pragma once
// API keys as they are written down (INTERFACE §2 `auth`): a name, the SHA-256 of the token, roles,
// agent types. The token itself is shown once, when it is made, and is nowhere afterwards.

#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/access.hpp"
#include "runtime/host/config_document.hpp"

namespace holdfast {

struct api_key {
  std::string hash;  ///< SHA-256 of the token, 32 bytes
  principal who;
  bool operator==(const api_key&) const = default;
};

struct key_limits {
  static constexpr std::size_t keys_max = 1'000;
  static constexpr std::size_t name_bytes_max = 64;
  static constexpr std::size_t types_max = 100;
};

/// `hf_` and 52 characters: 256 bits from the system. Errors: `internal` without randomness.
result<std::string> new_token();

/// True for what could be a token; whether there is such a key is for the ring.
bool looks_like_token(std::string_view text) noexcept;

/// `[A-Za-z0-9][A-Za-z0-9._@-]*`, at most 64; not `local` or `holdfast`, which the audit log uses.
bool is_key_name(std::string_view name) noexcept;

/// Reads a list of keys; what is wrong becomes a problem with its place.
std::vector<api_key> read_keys(const document_node& list, std::string_view pointer,
                               std::vector<document_problem>& problems);

/// A keys file: `keys: [...]`.
struct parsed_keys {
  std::vector<api_key> keys;
  std::vector<document_problem> problems;
};
parsed_keys parse_keys(std::string_view text);

/// The text of a keys file, as `parse_keys` reads it.
std::string render_keys(const std::vector<api_key>& keys);

}  // namespace holdfast
