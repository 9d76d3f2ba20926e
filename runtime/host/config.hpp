#pragma once
// The node's configuration (INTERFACE §2 "Node configuration"): one schema, read once, checked once. An unknown key, a
// bad value or something that this release does not deliver stops the start.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/host/config_auth.hpp"
#include "runtime/host/config_cluster.hpp"
#include "runtime/host/config_environment.hpp"
#include "runtime/host/config_secrets.hpp"
#include "schemas/effect.hpp"
#include "schemas/error.hpp"
#include "schemas/ids.hpp"
#include "schemas/node_roles.hpp"

namespace holdfast {

enum class model_provider : std::uint8_t { openai = 1, scripted = 2 };
std::string_view to_string(model_provider value) noexcept;

/// nano-USD per million tokens.
struct model_price {
  nano_usd input = 0;
  nano_usd output = 0;
  nano_usd cached_input = 0;  ///< as `input` when it is not given
  bool operator==(const model_price&) const = default;
};

struct model_config {
  model_provider provider = model_provider::scripted;
  std::string base_url;              ///< openai: without a `/` at its end
  std::string model;                 ///< openai: as the provider names it
  std::string api_key_secret;        ///< openai: a secret's name; empty: no key is sent
  std::optional<model_price> price;  ///< absent: calls are counted as free
  std::filesystem::path file;        ///< scripted
  bool operator==(const model_config&) const = default;
};

struct http_config {
  std::string host = "127.0.0.1";  ///< an address or `localhost`; IPv6 without brackets
  std::uint16_t port = 7070;       ///< 0: any free one
  std::uint64_t body_bytes_max = 1024 * 1024;
  std::uint64_t header_bytes_max = 32 * 1024;
  std::uint32_t connections_max = 10'000;
  std::int64_t idle_ms_max = 75'000;
  bool operator==(const http_config&) const = default;
};

struct retention_config {
  std::int64_t history_ms = 30LL * 24 * 3'600'000;
  std::int64_t events_ms = 7LL * 24 * 3'600'000;
  std::int64_t dedup_ms = 7LL * 24 * 3'600'000;
  std::int64_t streams_ms = 1LL * 24 * 3'600'000;
  bool operator==(const retention_config&) const = default;
};

struct node_config {
  std::string node = "n1";
  std::filesystem::path
    data;  ///< empty: not given (`dev` takes a temporary folder, `serve` refuses)
  http_config http;
  tls_config tls;
  auth_config auth;
  std::string log_level = "info";   ///< trace, debug, info, warn, error
  std::string log_format = "text";  ///< text, json
  std::map<std::string, secret_source, std::less<>> secrets;
  std::map<std::string, model_config, std::less<>> models;
  std::uint64_t memory_limit_bytes = 0;  ///< 0: from the cgroup or the machine
  retention_config retention;
  cluster_config cluster;
  node_roles roles = node_roles::both;
  /// `dev` only, when there is no model: what to do about it, for the refusal of an LLM agent.
  std::string no_model_hint;
};

/// Settings from the command line; an absent one was not given.
struct config_flags {
  std::optional<std::string> node = {};
  std::optional<std::string> data = {};
  std::optional<std::string> listen = {};
  std::optional<std::string> log_level = {};
  std::optional<std::string> log_format = {};
  std::optional<std::string> memory_limit = {};
  std::optional<std::string> tls_cert = {};
  std::optional<std::string> tls_key = {};
  std::optional<std::string> keys_file = {};
};

struct config_problem {
  std::string source;    ///< the file, `--listen`, or `HOLDFAST_LISTEN`
  std::size_t line = 0;  ///< 0: not from a file
  std::size_t column = 0;
  errc code = errc::schema;
  std::string message;
  bool operator==(const config_problem&) const = default;
};
/// `node.yaml:7:3: unknown key …`
std::string to_string(const config_problem& problem);

/// Either a configuration or every problem found.
struct [[nodiscard]] loaded_config {
  node_config config;
  environment env;  ///< the process's, for `dev` with DIR/.env behind it; what `secret_store` wants
  std::vector<config_problem> problems;
  explicit operator bool() const noexcept { return problems.empty(); }
};

/// `serve`: flag > variable (HOLDFAST_NODE, _DATA, _LISTEN, _LOG_LEVEL, _LOG_FORMAT, _MEMORY_LIMIT,
/// _TLS_CERT, _TLS_KEY, _KEYS_FILE) > file > default.
/// Without a file: defaults, flags and variables. A relative path in the file is relative to the file's folder.
loaded_config load_config(const std::optional<std::filesystem::path>& file,
                          const config_flags& flags, const environment& env);

/// `dev DIR`: DIR/node.yaml and DIR/.env if they are there; without models, what INTERFACE §2 gives.
loaded_config load_dev_config(const std::filesystem::path& dir, const config_flags& flags,
                              const environment& env);

/// The file's text alone: for tests and `load_config`. `base` is what relative paths are relative to.
loaded_config parse_config(std::string_view text, std::string_view file_name,
                           const std::filesystem::path& base, const config_flags& flags,
                           const environment& env);

/// True for 127.0.0.0/8, ::1 and `localhost`.
bool is_loopback(std::string_view host) noexcept;

}  // namespace holdfast
