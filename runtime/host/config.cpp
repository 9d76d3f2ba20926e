#include "runtime/host/config.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <system_error>
#include <utility>

#include "runtime/core/turn_limits.hpp"
#include "runtime/expression/nearest_name.hpp"
#include "runtime/host/config_document.hpp"
#include "runtime/host/config_models.hpp"
#include "runtime/host/config_reader.hpp"
#include "runtime/host/key_file.hpp"
#include "schemas/units.hpp"

namespace holdfast {

namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 5> log_levels{"trace", "debug", "info", "warn", "error"};
constexpr std::array<std::string_view, 2> log_formats{"text", "json"};
constexpr std::int64_t retention_ms_min = 60'000;
constexpr std::uint64_t memory_bytes_min = 64ULL * 1024 * 1024;

/// Where a setting comes from, for what is said about it.
struct origin {
  std::string source;
  std::size_t line = 0;
  std::size_t column = 0;
};

struct address {
  std::string host;
  std::uint16_t port = 0;
};

result<address> parse_address(std::string_view text) {
  const error bad{errc::schema, "expected HOST:PORT like 127.0.0.1:7070 or [::1]:7070, not `" +
                                  std::string{text} + "`"};
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || text.size() > 255)
    return bad;
  auto host = text.substr(0, colon);
  const auto port = text.substr(colon + 1);
  if (host.front() == '[' && host.back() == ']' && host.size() > 2)
    host = host.substr(1, host.size() - 2);
  else if (host.find_first_of(":[]") != std::string_view::npos)
    return bad;
  constexpr std::string_view allowed =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-_";
  address out{std::string{host}, 0};
  const auto [end, failed] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (failed != std::errc{} || end != port.data() + port.size() ||
      host.find_first_not_of(allowed) != std::string_view::npos)
    return bad;
  return out;
}

class node_file {
public:
  node_file(node_config& config, std::string_view file_name, fs::path base,
            std::vector<config_problem>& problems)
    : config_(config), file_name_(file_name), base_(std::move(base)), problems_(problems) {}

  origin listen_origin{"default", 0, 0};

  void read(std::string_view text) {
    auto parsed = parse_documents(text);
    if (parsed.documents.size() > 1)
      parsed.problems.push_back({parsed.documents[1].line, parsed.documents[1].column, "",
                                 errc::schema, "a node's configuration is one document"});
    auto& problems = parsed.problems;
    if (!parsed.documents.empty())
      top(parsed.documents.front(), problems);
    std::stable_sort(problems.begin(), problems.end(),
                     [](const auto& a, const auto& b) { return a.line < b.line; });
    for (auto& p : problems)
      problems_.push_back({file_name_, p.line, p.column, p.code, one_line(std::move(p.message))});
  }

private:
  void top(const document_node& node, std::vector<document_problem>& problems) {
    map_reader in{node, "", problems};
    if (in.text("node", config_.node) && !is_valid_type(config_.node))
      in.problem(in.node().find("node")->value, "/node",
                 "`node`: expected lower-case letters, digits and -");
    if (std::string data; in.text("data", data))
      config_.data = path(data);
    listen(in);
    if (const auto* below = in.take("tls"))
      read_tls(map_reader{below->value, "/tls", problems}, base_, config_.tls);
    if (const auto* below = in.take("auth"))
      read_auth(map_reader{below->value, "/auth", problems}, base_, file_name_, config_.auth);
    in.not_available("mcp");
    in.not_available("otlp");
    if (const auto* secrets = in.take("secrets"))
      read_secrets(map_reader{secrets->value, "/secrets", problems}, base_, config_.secrets);
    if (const auto* models = in.take("models"))
      read_models(map_reader{models->value, "/models", problems}, base_, config_.models);
    in.size("memory_limit", config_.memory_limit_bytes, memory_bytes_min);
    if (const auto* below = in.take("retention"))
      retention(map_reader{below->value, "/retention", problems});
    if (const auto* below = in.take("http"))
      http(map_reader{below->value, "/http", problems});
    if (const auto* below = in.take("log"))
      log(map_reader{below->value, "/log", problems});
    if (const auto* below = in.take("cluster"))
      cluster(below->value, map_reader{below->value, "/cluster", problems});
    roles(in);
    in.finish();
  }

  fs::path path(const std::string& text) const { return (base_ / text).lexically_normal(); }

  void listen(map_reader& in) {
    std::string text;
    if (!in.text("listen", text))
      return;
    const auto& at = in.node().find("listen")->value;
    auto parsed = parse_address(text);
    if (!parsed)
      return in.problem(at, "/listen", "`listen`: " + parsed.error().context);
    config_.http.host = std::move(parsed->host);
    config_.http.port = parsed->port;
    listen_origin = {file_name_, at.line, at.column};
  }

  void retention(map_reader in) {
    in.duration("history", config_.retention.history_ms, retention_ms_min);
    in.duration("events", config_.retention.events_ms, retention_ms_min);
    in.duration("dedup", config_.retention.dedup_ms, retention_ms_min);
    in.duration("streams", config_.retention.streams_ms, retention_ms_min);
    in.finish();
  }

  void http(map_reader in) {
    in.size("body_max", config_.http.body_bytes_max, 1024, request_bytes_max);
    in.size("header_max", config_.http.header_bytes_max, 1024);
    in.number("connections_max", config_.http.connections_max, 1, 1'000'000);
    in.duration("idle_max", config_.http.idle_ms_max, 1'000);
    in.finish();
  }

  void log(map_reader in) {
    one_of(in, "level", log_levels, config_.log_level);
    one_of(in, "format", log_formats, config_.log_format);
    in.finish();
  }

  template <std::size_t N>
  static void one_of(map_reader& in, std::string_view key,
                     const std::array<std::string_view, N>& names, std::string& out) {
    std::array<std::pair<std::string_view, std::string_view>, N> among;
    for (std::size_t i = 0; i < N; ++i)
      among[i] = {names[i], names[i]};
    std::string_view chosen;
    if (in.choice(key, chosen, among))
      out = chosen;
  }

  void roles(map_reader& in) {
    std::vector<std::string> roles;
    if (!in.texts("roles", roles, 2))
      return;
    const auto& at = in.node().find("roles")->value;
    const auto known = parse_node_roles(roles);
    if (!known)
      return in.problem(at, "/roles", "`roles`: expected `gateway`, `worker`, or both of them");
    if (*known != node_roles::both && config_.cluster.is_alone())
      return in.problem(at, "/roles",
                        "`roles`: a node that is alone does both; with `cluster` (`peers`, or "
                        "`advertise` to join one) others can do the rest");
    config_.roles = *known;
  }

  void cluster(const document_node& at, map_reader in) {
    const auto found = in.problems().size();
    auto& cluster = config_.cluster;
    auto& problems = in.problems();
    read_cluster(std::move(in), base_, cluster);
    if (problems.size() != found)
      return;
    if (auto wrong = check_cluster(cluster, config_.node); !wrong.empty())
      return map_reader{at, "/cluster", problems}.problem(at, "/cluster", std::move(wrong));
    if (const auto self = cluster.peers.find(config_.node); self != cluster.peers.end())
      cluster.advertise = self->second;
  }

  node_config& config_;
  std::string file_name_;
  fs::path base_;
  std::vector<config_problem>& problems_;
};

/// A flag, else its variable.
struct override_value {
  std::string source;
  std::string value;
};

std::optional<override_value> given(const std::optional<std::string>& flag, const char* flag_name,
                                    const environment& env, const char* variable) {
  if (flag)
    return override_value{flag_name, *flag};
  if (const auto found = env.find(variable); found != env.end() && !found->second.empty())
    return override_value{variable, found->second};
  return std::nullopt;
}

void override_with(loaded_config& out, const config_flags& flags, const environment& env,
                   origin& listen_origin) {
  auto& config = out.config;
  const auto problem = [&](const std::string& source, const std::string& message) {
    out.problems.push_back({source, 0, 0, errc::schema, message});
  };
  const auto one_of = [&](const std::optional<override_value>& from, auto& names,
                          std::string& into) {
    if (!from)
      return;
    if (std::find(names.begin(), names.end(), from->value) == names.end())
      return problem(from->source, "expected " + list_of(names, "or") + ", not `" + from->value +
                                     "`" + did_you_mean(from->value, names));
    into = from->value;
  };
  if (auto node = given(flags.node, "--node", env, "HOLDFAST_NODE")) {
    if (!is_valid_type(node->value))
      problem(node->source, "expected lower-case letters, digits and -");
    config.node = node->value;
  }
  if (auto data = given(flags.data, "--data", env, "HOLDFAST_DATA"))
    config.data = data->value;
  if (auto listen = given(flags.listen, "--listen", env, "HOLDFAST_LISTEN")) {
    if (auto parsed = parse_address(listen->value)) {
      config.http.host = std::move(parsed->host);
      config.http.port = parsed->port;
      listen_origin = {listen->source, 0, 0};
    } else {
      problem(listen->source, parsed.error().context);
    }
  }
  one_of(given(flags.log_level, "--log-level", env, "HOLDFAST_LOG_LEVEL"), log_levels,
         config.log_level);
  one_of(given(flags.log_format, "--log-format", env, "HOLDFAST_LOG_FORMAT"), log_formats,
         config.log_format);
  if (auto limit = given(flags.memory_limit, "--memory-limit", env, "HOLDFAST_MEMORY_LIMIT")) {
    const auto bytes = parse_size_bytes(limit->value);
    if (!bytes || *bytes < memory_bytes_min)
      problem(limit->source,
              bytes ? "at least " + format_size_bytes(memory_bytes_min) : bytes.error().context);
    else
      config.memory_limit_bytes = *bytes;
  }
}

/// --tls-cert, --tls-key and --keys-file take the place of what the file says.
void override_wire(loaded_config& out, const config_flags& flags, const environment& env) {
  auto& config = out.config;
  const auto problem = [&](const override_value& from, std::string message) {
    out.problems.push_back({from.source, 0, 0, errc::schema, std::move(message)});
  };
  const auto cert = given(flags.tls_cert, "--tls-cert", env, "HOLDFAST_TLS_CERT");
  const auto key = given(flags.tls_key, "--tls-key", env, "HOLDFAST_TLS_KEY");
  if (cert || key)
    config.tls.by_proxy = false;
  if (cert)
    config.tls.cert = cert->value;
  if (key)
    config.tls.key = key->value;
  if (config.tls.cert.empty() != config.tls.key.empty())
    problem(cert ? *cert : *key, "a certificate and its key go together: --tls-cert and --tls-key");
  for (const auto* one : {&cert, &key})
    if (std::error_code failed; *one && !fs::is_regular_file((*one)->value, failed))
      problem(**one, (*one)->value + " cannot be read");
  if (const auto file = given(flags.keys_file, "--keys-file", env, "HOLDFAST_KEYS_FILE")) {
    config.auth = {true, file->value, false, {}};
    if (auto keys = read_key_file(config.auth.file))
      config.auth.keys = std::move(*keys);
    else
      problem(*file, keys.error().context);
  }
}

/// DESIGN §8: beyond loopback both are needed, and what is missing is said.
void refuse_beyond_loopback(loaded_config& out, const origin& from) {
  const auto& config = out.config;
  if (is_loopback(config.http.host) || (config.tls.is_set() && config.auth.on))
    return;
  std::string message =
    "`listen`: " + config.http.host + " is beyond loopback, which takes TLS and API keys: add ";
  if (!config.tls.is_set())
    message +=
      "`tls: { cert: node.pem, key: node.key }`, or `tls: { terminated_by: proxy }` when a "
      "proxy in front ends it";
  if (!config.tls.is_set() && !config.auth.on)
    message += ", and ";
  if (!config.auth.on)
    message +=
      "`auth: { keys_file: keys.yaml }`, made by `holdfast auth key create NAME --roles "
      "admin --keys-file keys.yaml`";
  message += "; or listen on 127.0.0.1";
  out.problems.push_back({from.source, from.line, from.column, errc::schema, std::move(message)});
}

result<std::string> read_file(const fs::path& file) {
  std::error_code failed;
  const auto size = fs::is_directory(file, failed) ? 0 : fs::file_size(file, failed);
  std::ifstream in{file, std::ios::binary};
  if (failed || !in || fs::is_directory(file, failed))
    return error{errc::io_failure, "cannot be read"};
  if (size > document_limits::bytes_max)
    return error{errc::too_large, "larger than 1MiB"};
  std::string text(size, '\0');
  in.read(text.data(), static_cast<std::streamsize>(size));
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

}  // namespace

std::string_view to_string(model_provider value) noexcept {
  return value == model_provider::openai ? "openai" : "scripted";
}

std::string to_string(const config_problem& problem) {
  std::string out = problem.source;
  if (problem.line != 0)
    out += ":" + std::to_string(problem.line);
  if (problem.line != 0 && problem.column != 0)
    out += ":" + std::to_string(problem.column);
  return (out.empty() ? out : out + ": ") + problem.message;
}

bool is_loopback(std::string_view host) noexcept {
  if (host == "localhost" || host == "::1")
    return true;
  // Four numbers, the first of them 127.
  std::size_t numbers = 0;
  while (numbers < 4) {
    unsigned value = 256;
    const auto [end, failed] = std::from_chars(host.data(), host.data() + host.size(), value);
    if (failed != std::errc{} || value > 255 || (numbers == 0 && value != 127))
      return false;
    host.remove_prefix(static_cast<std::size_t>(end - host.data()));
    ++numbers;
    if (numbers < 4 && (host.empty() || host.front() != '.'))
      return false;
    host.remove_prefix(numbers < 4 ? 1 : 0);
  }
  return host.empty();
}

loaded_config parse_config(std::string_view text, std::string_view file_name, const fs::path& base,
                           const config_flags& flags, const environment& env) {
  loaded_config out;
  out.env = env;
  node_file file{out.config, file_name, base, out.problems};
  file.read(text);
  override_with(out, flags, env, file.listen_origin);
  override_wire(out, flags, env);
  refuse_beyond_loopback(out, file.listen_origin);
  return out;
}

loaded_config load_config(const std::optional<fs::path>& file, const config_flags& flags,
                          const environment& env) {
  if (!file)
    return parse_config("", "", "", flags, env);
  auto text = read_file(*file);
  if (text)
    return parse_config(*text, file->string(), file->parent_path(), flags, env);
  loaded_config out;
  out.problems.push_back({file->string(), 0, 0, text.error().code, text.error().context});
  return out;
}

loaded_config load_dev_config(const fs::path& dir, const config_flags& flags,
                              const environment& process) {
  std::error_code failed;
  auto env = process;
  if (fs::exists(dir / ".env", failed)) {
    auto text = read_file(dir / ".env");
    auto more =
      text ? parse_env_file(*text, (dir / ".env").string()) : result<environment>{text.error()};
    if (!more) {
      loaded_config out;
      out.problems.push_back(
        {text ? "" : (dir / ".env").string(), 0, 0, more.error().code, more.error().context});
      return out;
    }
    env.insert(more->begin(), more->end());  // what the process was given counts more
  }
  const auto file = dir / "node.yaml";
  auto out = fs::exists(file, failed) ? load_config(file, flags, env)
                                      : load_config(std::nullopt, flags, env);
  if (out.config.models.empty())
    add_dev_model(out.config, dir, env);
  return out;
}

}  // namespace holdfast
