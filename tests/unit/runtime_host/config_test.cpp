#include "runtime/host/config.hpp"

#include <doctest/doctest.h>

#include <unistd.h>
#include <algorithm>
#include <fstream>
#include <string>

using namespace holdfast;

namespace {

namespace fs = std::filesystem;

loaded_config parsed(std::string_view text, const config_flags& flags = {},
                     const environment& env = {}) {
  return parse_config(text, "node.yaml", "/etc/holdfast", flags, env);
}

std::string all(const loaded_config& in) {
  std::string out;
  for (const auto& problem : in.problems)
    out += to_string(problem) + "\n";
  return out;
}

void check_refused(std::string_view text, std::string_view says, errc code = errc::schema) {
  const auto in = parsed(text);
  CAPTURE(text);
  CHECK(!in);
  CHECK_MESSAGE(std::any_of(in.problems.begin(), in.problems.end(),
                            [&](const auto& p) {
                              return p.code == code &&
                                     to_string(p).find(says) != std::string::npos &&
                                     p.source == "node.yaml" && p.line > 0;
                            }),
                says << " in:\n"
                     << all(in));
}

struct temporary_folder {
  fs::path path = fs::temp_directory_path() / ("holdfast-config-" + std::to_string(::getpid()));
  temporary_folder() { fs::create_directories(path); }
  ~temporary_folder() { fs::remove_all(path); }
  void write(const char* name, std::string_view text) const {
    std::ofstream{path / name, std::ios::binary} << text;
  }
};

}  // namespace

TEST_CASE("config: every setting is read") {
  const auto in = parsed(R"(node: n1
data: data
listen: 127.0.0.1:8080
secrets: { billing: { env: BILLING_TOKEN }, stripe: { file: creds/stripe } }
models:
  primary: { provider: openai, base_url: "https://api.example.com/v1/", model: gpt, api_key: "${secret:openai}", price: { input: "0.25", output: 2, cached_input: 0.03 } }
  demo: { provider: scripted, file: script.yaml }
memory_limit: 1GiB
retention: { history: 30d, events: 1d, dedup: 2d, streams: 3h }
roles: [worker, gateway]
cluster: { name: prod, partitions: 48, replication: 1, peers: { n1: "127.0.0.1:7071" } }
http: { body_max: 2MiB, header_max: 8KiB, connections_max: 50, idle_max: 10s }
log: { level: debug, format: json }
)");
  REQUIRE_MESSAGE(in, all(in));
  const auto& c = in.config;
  CHECK(c.node == "n1");
  CHECK(c.data == "/etc/holdfast/data");
  CHECK(c.http == http_config{"127.0.0.1", 8080, 2 * 1024 * 1024, 8 * 1024, 50, 10'000});
  CHECK(std::get<secret_from_env>(c.secrets.at("billing")).variable == "BILLING_TOKEN");
  CHECK(std::get<secret_from_file>(c.secrets.at("stripe")).path == "/etc/holdfast/creds/stripe");
  const auto& primary = c.models.at("primary");
  CHECK(primary.provider == model_provider::openai);
  CHECK(primary.base_url == "https://api.example.com/v1");
  CHECK(primary.model == "gpt");
  CHECK(primary.api_key_secret == "openai");
  CHECK(primary.price == model_price{250'000'000, 2'000'000'000, 30'000'000});
  CHECK(c.models.at("demo").provider == model_provider::scripted);
  CHECK(c.models.at("demo").file == "/etc/holdfast/script.yaml");
  CHECK(c.memory_limit_bytes == 1ULL << 30U);
  CHECK(c.retention ==
        retention_config{30LL * 86'400'000, 86'400'000, 2 * 86'400'000, 3 * 3'600'000});
  CHECK(c.cluster.partitions == 48);
  CHECK(c.cluster.name == "prod");
  CHECK(c.log_level == "debug");
  CHECK(c.log_format == "json");
}

TEST_CASE("config: an empty file is the defaults") {
  for (const auto* text : {"", "# nothing\n", "---\n"}) {
    const auto in = parsed(text);
    REQUIRE_MESSAGE(in, all(in));
    CHECK(in.config.http == http_config{});
    CHECK(in.config.data.empty());
    CHECK(in.config.models.empty());
    CHECK_FALSE(in.config.cluster.partitions);
  }
}

TEST_CASE("config: a number of partitions that is the default can be told from none") {
  const auto in = parsed("cluster: { partitions: 24 }");
  REQUIRE_MESSAGE(in, all(in));
  CHECK(in.config.cluster.partitions == 24);
}

TEST_CASE("config: a price without one for cached input takes that of input") {
  const auto in =
    parsed("models: { m: { provider: openai, model: x, price: { input: 1, output: 2 } } }");
  REQUIRE_MESSAGE(in, all(in));
  CHECK(in.config.models.at("m").price->cached_input == 1'000'000'000);
  CHECK(in.config.models.at("m").base_url == "https://api.openai.com/v1");
}

TEST_CASE("config: an unknown key names file, line and the nearest key") {
  CHECK(all(parsed("node: a\n\nlisen: 127.0.0.1:1\n")) ==
        "node.yaml:3:1: unknown key `lisen`; did you mean `listen`?\n");
  check_refused("log: { levle: info }", "did you mean `level`?");
  check_refused("models: { m: { provider: openai, modle: x } }", "did you mean `model`?");
  check_refused("retention: { histroy: 1d }", "did you mean `history`?");
  check_refused("cluster: { partition: 3 }", "did you mean `partitions`?");
  check_refused("secrets: { a: { evn: X } }", "did you mean `env`?");
}

TEST_CASE("config: bad values are refused") {
  check_refused("node: N 1", "`node`: expected");
  check_refused("listen: 7070", "expected HOST:PORT");
  for (const auto* listen : {"':7070'", "localhost", "'localhost:'", "localhost:99999",
                             "localhost:x", "'::1:7070'", "'[::1]'", "'a b:1'"})
    check_refused("listen: " + std::string{listen}, "expected HOST:PORT");
  check_refused("memory_limit: 1GB", "`memory_limit`:");
  check_refused("memory_limit: 1MiB", "at least 64MiB");
  check_refused("retention: { dedup: 5 }", "`dedup`:");
  check_refused("retention: { dedup: 1s }", "at least 1m");
  check_refused("log: { level: loud }", "expected `trace`, `debug`, `info`, `warn` or `error`");
  check_refused("log: { format: xml }", "expected `text` or `json`");
  check_refused("cluster: { partitions: 0 }", "from 1 to 4096");
  check_refused("roles: [boss]", "expected `gateway`, `worker`, or both");
  check_refused("roles: []", "expected 1 to 2 texts");
  check_refused("roles: [gateway]", "a node that is alone does both");
  check_refused("roles: [worker]", "a node that is alone does both");
  check_refused("http: { body_max: 10B }", "at least 1KiB");
  check_refused("http: { body_max: 17MiB }", "at most 16MiB");
  check_refused("- a", "expected a map");
  check_refused("node: a\n---\nnode: b\n", "one document");
  check_refused("node: a\nnode: b\n", "for the second time", errc::malformed);
  check_refused("secrets: { A: { env: X } }", "a secret's name");
  check_refused("secrets: { a: { env: X, file: y } }", "either `env`");
  check_refused("secrets: { a: {} }", "either `env`");
  check_refused("secrets: { a: hunter2 }", "expected a map");
  check_refused("secrets: { a: { env: 'not a name' } }", "not the name of a variable");
  check_refused("models: { M: {} }", "a model's name");
  check_refused("models: { m: {} }", "`provider` is missing");
  check_refused("models: { m: { provider: openia } }", "did you mean `openai`?");
  check_refused("models: { m: { provider: openai } }", "`model` is missing");
  check_refused("models: { m: { provider: scripted } }", "`file` is missing");
  check_refused("models: { m: { provider: scripted, file: a, model: b } }", "unknown key `model`");
  check_refused("models: { m: { provider: openai, model: x, base_url: example.com } }",
                "expected http://");
  check_refused("models: { m: { provider: openai, model: x, base_url: 'https://u:p@h/' } }",
                "expected http://");
  check_refused("models: { m: { provider: openai, model: x, price: { input: 1 } } }",
                "`output` is missing");
  check_refused("models: { m: { provider: openai, model: x, price: { input: free, output: 1 } } }",
                "`input`:");
}

TEST_CASE("config: a secret in place of its name is refused and not repeated") {
  const auto in = parsed(
    "models: { m: { provider: openai, model: x, api_key: sk-hunter2 } }\nsecrets: { a: { env: "
    "'sk-hunter2' } }");
  CHECK(!in);
  CHECK(in.problems.size() == 2);
  CHECK(all(in).find("hunter2") == std::string::npos);
}

TEST_CASE("config: a cluster is its peers, this node among them") {
  const auto in = parsed(
    "node: n2\ncluster: { name: prod, election_timeout: 300ms, peers: { n1: "
    "'127.0.0.1:7071', n2: '127.0.0.1:7072', n3: 'localhost:7073' } }");
  REQUIRE_MESSAGE(in, all(in));
  const auto& cluster = in.config.cluster;
  CHECK_FALSE(cluster.is_alone());
  CHECK(cluster.advertise == "127.0.0.1:7072");
  CHECK(cluster.peers.size() == 3);
  CHECK(cluster.replication == 3);
  CHECK(cluster.election_timeout_ms == 300);
  const auto edge = parsed("roles: [gateway]\nnode: g1\ncluster: { advertise: '127.0.0.1:7075' }");
  REQUIRE_MESSAGE(edge, all(edge));
  CHECK(edge.config.roles == node_roles::gateway);
  CHECK(in.config.roles == node_roles::both);
  const auto first = parsed("node: n1\ncluster: { peers: { n1: '127.0.0.1:7071' } }");
  REQUIRE_MESSAGE(first, all(first));
  CHECK_FALSE(first.config.cluster.is_alone());
  const auto joining = parsed("node: n4\ncluster: { name: prod, advertise: '127.0.0.1:7074' }");
  REQUIRE_MESSAGE(joining, all(joining));
  CHECK(joining.config.cluster.advertise == "127.0.0.1:7074");
  const auto named =
    parsed("node: n4\ncluster: { advertise: '127.0.0.1:7074', peers: { n1: '127.0.0.1:7071' } }");
  REQUIRE_MESSAGE(named, all(named));
  CHECK(named.config.cluster.advertise == "127.0.0.1:7074");
  CHECK(parsed("cluster: { name: prod }").config.cluster.is_alone());
}

TEST_CASE("config: a cluster that cannot work is refused with what to do") {
  check_refused("node: n9\ncluster: { peers: { n1: '127.0.0.1:1', n2: '127.0.0.1:2' } }",
                "this node, `n9`, is not one of them");
  check_refused("node: n1\ncluster: { peers: { n1: '10.0.0.1:1', n2: '10.0.0.2:1' } }",
                "`holdfast cluster certs");
  check_refused("cluster: { peers: { n1: '127.0.0.1:1', n2: '127.0.0.1:1' } }",
                "have the same address");
  check_refused("cluster: { peers: { n1: '127.0.0.1', n2: '127.0.0.1:1' } }", "expected HOST:PORT");
  check_refused("cluster: { peers: { n1: '127.0.0.1 :1' } }", "expected HOST:PORT");
  check_refused("cluster: { peers: { N_1: '127.0.0.1:1' } }", "is no name of a node");
  check_refused("cluster: { peers: [] }", "expected 1 to 9 nodes");
  check_refused("cluster: { advertise: '10.0.0.1:1' }", "`holdfast cluster certs");
  check_refused("cluster: { peers: { n1: '10.0.0.1:1' } }", "`holdfast cluster certs");
  check_refused(
    "node: n1\ncluster: { advertise: '127.0.0.1:3', peers: { n1: '127.0.0.1:1', n2: "
    "'127.0.0.1:2' } }",
    "is not what `peers` says");
  check_refused("cluster: { tls: { ca: missing.pem } }", "cannot be read");
  check_refused("cluster: { election_timeout: 1ms }", "election_timeout");
}

TEST_CASE("config: what this release does not have is refused by name") {
  constexpr auto later = errc::not_available;
  check_refused("mcp: { a: { url: b } }", "`mcp` is not available", later);
  check_refused("otlp: { endpoint: x }", "`otlp` is not available", later);
  check_refused("models: { m: { provider: scripted, file: s, limits: { concurrency: 5 } } }",
                "`limits` is not available", later);
  check_refused("models: { m: { provider: anthropic, model: x } }", "`anthropic` is not available",
                later);
}

TEST_CASE("config: listening beyond loopback is refused with what to do") {
  for (const auto* listen : {"0.0.0.0:7070", "10.0.0.11:7070", "'[::]:7070'", "example.com:7070",
                             "128.0.0.1:1", "127.1:1"})
    check_refused("node: a\nlisten: " + std::string{listen},
                  "is beyond loopback, which takes TLS and API keys: add `tls: {");
  for (const auto* listen : {"127.0.0.1:0", "127.9.9.9:1", "localhost:80", "'[::1]:7070'"})
    CHECK_MESSAGE(parsed("listen: " + std::string{listen}), listen);
  const auto by_flag = parsed("", {.listen = "0.0.0.0:1"});
  REQUIRE(by_flag.problems.size() == 1);
  CHECK(by_flag.problems[0].source == "--listen");
  CHECK(by_flag.problems[0].code == errc::schema);
}

namespace {

const std::string some_hash = "sha256:" + std::string(64, 'a');
const std::string one_key =
  "{ name: ops, hash: \"" + some_hash + "\", roles: [operator], types: [support] }";

}  // namespace

TEST_CASE("config: beyond loopback what is missing is named, and only that") {
  const auto only_tls = all(parsed("listen: 0.0.0.0:1\ntls: { terminated_by: proxy }\n"));
  CHECK(only_tls.find("add `auth: { keys_file: keys.yaml }`") != std::string::npos);
  CHECK(only_tls.find("cert") == std::string::npos);
  CHECK(only_tls.starts_with("node.yaml:1:"));
  const auto only_auth = all(parsed("listen: 0.0.0.0:1\nauth: { keys: [" + one_key + "] }\n"));
  CHECK(only_auth.find("add `tls: { cert: node.pem") != std::string::npos);
  CHECK(only_auth.find("keys_file") == std::string::npos);
  const auto both =
    parsed("listen: 0.0.0.0:1\ntls: { terminated_by: proxy }\nauth: { keys: [" + one_key + "] }\n");
  REQUIRE_MESSAGE(both, all(both));
  CHECK(both.config.tls.by_proxy);
  CHECK(both.config.auth.on);
  REQUIRE(both.config.auth.keys.size() == 1);
  CHECK(both.config.auth.keys[0].who.name == "ops");
  CHECK(both.config.auth.keys[0].who.roles.has(key_role::controller));
  CHECK(both.config.auth.keys[0].who.scope.types == std::vector<std::string>{"support"});
}

TEST_CASE("config: what is wrong with tls and auth is said with its place") {
  check_refused("tls: {}", "`cert` is missing");
  check_refused("tls: { cert: gone.pem, key: gone.key }", "gone.pem cannot be read");
  check_refused("tls: { terminated_by: magic }", "expected `proxy`");
  check_refused("tls: { terminated_by: proxy, cert: a.pem }", "a proxy ends TLS");
  check_refused("tls: { crt: a }", "did you mean `cert`?");
  check_refused("auth: {}", "`keys_file` is missing");
  check_refused("auth: { keys_file: gone.yaml }", "holdfast auth key create");
  check_refused("auth: { keys: { a: b } }", "expected a list of { name, hash, roles, types }");
  check_refused("auth: { keys_file: k, keys: [] }", "keep one of them");
  const auto key = [](const std::string& fields) { return "auth: { keys: [{ " + fields + " }] }"; };
  const auto hash = "hash: \"" + some_hash + "\"";
  check_refused(key("name: a, roles: [viewer]"), "`hash` is missing");
  check_refused(key("name: a, " + hash), "`roles` is missing");
  check_refused(key(hash + ", roles: [viewer]"), "`name` is missing");
  check_refused(key("name: a, hash: 'sha256:00', roles: [viewer]"), "64 hexadecimal digits");
  check_refused(key("name: a, hash: 'md5:00', roles: [viewer]"), "64 hexadecimal digits");
  check_refused(key("name: a, " + hash + ", roles: [oprator]"), "did you mean `operator`?");
  check_refused(key("name: local, " + hash + ", roles: [viewer]"), "not `local`");
  check_refused(key("name: 'a b', " + hash + ", roles: [viewer]"), "`name`: expected letters");
  check_refused(key("name: a, " + hash + ", roles: [viewer], types: [Support]"),
                "agent types, not");
  check_refused(key("name: a, " + hash + ", roles: [viewer], types: ['*', b]"), "agent types, not");
  check_refused(key("name: a, " + hash + ", roles: [viewer], expires: soon"),
                "`expires`: expected");
  check_refused(key("name: a, " + hash + ", roles: [viewer], rols: 1"), "did you mean `roles`?");
  check_refused("auth: { keys: [" + one_key + ", " + one_key + "] }", "is there twice");
}

TEST_CASE("config: certificate and keys by flag or variable take the place of the file's") {
  const temporary_folder folder;
  folder.write("a.pem", "x");
  folder.write("a.key", "x");
  folder.write("keys.yaml", "keys: [" + one_key + "]\n");
  const auto path = [&](const char* name) { return (folder.path / name).string(); };
  config_flags flags;
  flags.listen = "0.0.0.0:1";
  flags.tls_cert = path("a.pem");
  flags.tls_key = path("a.key");
  flags.keys_file = path("keys.yaml");
  const auto by_flag = parsed("tls: { terminated_by: proxy }\n", flags);
  REQUIRE_MESSAGE(by_flag, all(by_flag));
  CHECK(by_flag.config.tls.cert == folder.path / "a.pem");
  CHECK_FALSE(by_flag.config.tls.by_proxy);
  CHECK(by_flag.config.auth.keys.size() == 1);
  const auto by_variable = parsed("", {}, {{"HOLDFAST_KEYS_FILE", path("keys.yaml")}});
  REQUIRE_MESSAGE(by_variable, all(by_variable));
  CHECK(by_variable.config.auth.on);
  flags.tls_key.reset();
  CHECK(all(parsed("", flags)).find("--tls-cert: a certificate and its key go together") !=
        std::string::npos);
  folder.write("keys.yaml", "keys:\n  - name: a\n    rols: [viewer]\n");
  CHECK(all(parsed("auth: { keys_file: " + path("keys.yaml") + " }\n")).find("keys.yaml:2:") !=
        std::string::npos);
}

TEST_CASE("config: a flag counts more than a variable, and a variable more than the file") {
  const std::string file =
    "node: file\nlisten: 127.0.0.1:1\nlog: { level: warn, format: json }\nmemory_limit: "
    "64MiB\ndata: /file\n";
  const environment env{{"HOLDFAST_NODE", "env"},
                        {"HOLDFAST_LISTEN", "127.0.0.1:2"},
                        {"HOLDFAST_LOG_LEVEL", "error"},
                        {"HOLDFAST_LOG_FORMAT", "text"},
                        {"HOLDFAST_MEMORY_LIMIT", "128MiB"},
                        {"HOLDFAST_DATA", "/env"}};
  const auto by_file = parsed(file);
  CHECK(by_file.config.http.port == 1);
  const auto by_env = parsed(file, {}, env);
  REQUIRE_MESSAGE(by_env, all(by_env));
  CHECK(by_env.config.node == "env");
  CHECK(by_env.config.http.port == 2);
  CHECK(by_env.config.log_level == "error");
  CHECK(by_env.config.log_format == "text");
  CHECK(by_env.config.memory_limit_bytes == 128ULL << 20U);
  CHECK(by_env.config.data == "/env");
  const auto by_flag =
    parsed(file, {"flag", "/flag", "127.0.0.1:3", "trace", "json", "256MiB"}, env);
  REQUIRE_MESSAGE(by_flag, all(by_flag));
  CHECK(by_flag.config.node == "flag");
  CHECK(by_flag.config.http.port == 3);
  CHECK(by_flag.config.log_level == "trace");
  CHECK(by_flag.config.memory_limit_bytes == 256ULL << 20U);
  CHECK(by_flag.config.data == "/flag");
  CHECK(all(parsed("", {.log_level = "loud"})) ==
        "--log-level: expected `trace`, `debug`, `info`, `warn` or `error`, not `loud`\n");
  CHECK(all(parsed("", {}, {{"HOLDFAST_LISTEN", "x"}}))
          .starts_with("HOLDFAST_LISTEN: expected HOST:PORT"));
  CHECK(all(parsed("", {.memory_limit = "1"})).starts_with("--memory-limit: "));
}

TEST_CASE("config: serve reads its file, and says when it cannot") {
  const temporary_folder folder;
  folder.write("node.yaml", "node: here\ndata: d\n");
  const auto in = load_config(folder.path / "node.yaml", {}, {});
  REQUIRE_MESSAGE(in, all(in));
  CHECK(in.config.node == "here");
  CHECK(in.config.data == folder.path / "d");
  CHECK(all(load_config(folder.path / "gone.yaml", {}, {})).find("gone.yaml: cannot be read") !=
        std::string::npos);
  CHECK(!load_config(folder.path, {}, {}));
  CHECK(load_config(std::nullopt, {}, {}).config.http == http_config{});
}

TEST_CASE("config: dev without models takes OPENAI_API_KEY, else the script, else a hint") {
  const temporary_folder folder;
  const auto none = load_dev_config(folder.path, {}, {});
  REQUIRE_MESSAGE(none, all(none));
  CHECK(none.config.models.empty());
  CHECK(none.config.no_model_hint == "there is no model: set OPENAI_API_KEY, or write " +
                                       (folder.path / "script.yaml").string());
  folder.write("script.yaml", "turns: []\n");
  const auto script = load_dev_config(folder.path, {}, {});
  CHECK(script.config.models.at("primary").provider == model_provider::scripted);
  CHECK(script.config.models.at("primary").file == folder.path / "script.yaml");
  CHECK(script.config.no_model_hint.empty());
  folder.write(".env",
               "OPENAI_API_KEY=sk-1\nOPENAI_BASE_URL=http://127.0.0.1:9/v1/"
               "\nHOLDFAST_SECRET_X=from-file\nHOLDFAST_LOG_LEVEL=debug\n");
  const auto key = load_dev_config(folder.path, {}, {{"HOLDFAST_SECRET_X", "from-process"}});
  REQUIRE_MESSAGE(key, all(key));
  const auto& primary = key.config.models.at("primary");
  CHECK(primary.provider == model_provider::openai);
  CHECK(primary.base_url == "http://127.0.0.1:9/v1");
  CHECK(!primary.model.empty());
  CHECK(key.config.log_level == "debug");
  const secret_store secrets{key.config.secrets, key.env};
  CHECK(*secrets.secret(primary.api_key_secret) == "sk-1");
  CHECK(*secrets.secret("x") == "from-process");
  folder.write("node.yaml", "models: { other: { provider: scripted, file: script.yaml } }\n");
  const auto own = load_dev_config(folder.path, {}, {});
  REQUIRE_MESSAGE(own, all(own));
  CHECK(own.config.models.size() == 1);
  CHECK(own.config.models.contains("other"));
  folder.write(".env", "not a setting\n");
  const auto bad = load_dev_config(folder.path, {}, {});
  CHECK(!bad);
  CHECK(all(bad).find(".env:1: expected NAME=VALUE") != std::string::npos);
}

TEST_CASE("config: only addresses of the machine itself are loopback") {
  for (const auto* host : {"127.0.0.1", "127.255.255.255", "::1", "localhost"})
    CHECK_MESSAGE(is_loopback(host), host);
  for (const auto* host : {"", "127.0.0", "127.0.0.1.2", "127.0.0.256", "127.0.0.1x", "1270.0.0.1",
                           "localhost.evil", "0.0.0.0", "::", "10.0.0.1", "127.0.0."})
    CHECK_MESSAGE(!is_loopback(host), host);
}
