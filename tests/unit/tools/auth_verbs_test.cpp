// `auth key` and `audit`.

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "runtime/host/key_file.hpp"
#include "runtime/host/sha256.hpp"
#include "tests/unit/tools/fake_server.hpp"

using namespace holdfast;
using test::fake_process;
using test::fake_server;
using test::json;
using test::json_answer;
namespace fs = std::filesystem;

namespace {

struct keys_folder {
  fs::path path;
  fake_process process;
  keys_folder() {
    auto name = (fs::temp_directory_path() / "holdfast-auth-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
    process.variables["HOLDFAST_KEYS_FILE"] = file();
  }
  ~keys_folder() { fs::remove_all(path); }
  std::string file() const { return (path / "keys.yaml").string(); }
  std::vector<api_key> keys() const {
    auto read = read_key_file(file());
    REQUIRE(read);
    return *read;
  }
};

}  // namespace

TEST_CASE("auth key create: prints the token alone, once, and keeps only its digest") {
  keys_folder at;
  const auto done = at.process.run({"auth", "key", "create", "ci", "--roles", "developer,viewer",
                                    "--types", "support,billing", "--expires", "1d"});
  CHECK(done.code == 0);
  REQUIRE(done.out.ends_with('\n'));
  const auto token = done.out.substr(0, done.out.size() - 1);
  CHECK(looks_like_token(token));
  CHECK(done.err.find(token) == std::string::npos);
  const auto keys = at.keys();
  REQUIRE(keys.size() == 1);
  CHECK(keys[0].hash == sha256(token));
  CHECK(keys[0].who.name == "ci");
  CHECK(keys[0].who.roles.has(key_role::developer));
  CHECK(keys[0].who.roles.has(key_role::viewer));
  CHECK(keys[0].who.scope.types == std::vector<std::string>{"support", "billing"});
  CHECK(keys[0].who.expires == time_us{1'795'248'000'000'000} + 86'400'000'000);
  std::ifstream in{at.file()};
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  CHECK(text.find(token) == std::string::npos);
}

TEST_CASE("auth key create: what cannot be a key is refused and writes nothing") {
  keys_folder at;
  for (const auto& arguments : std::vector<std::vector<std::string>>{
         {"auth", "key", "create", "ci"},
         {"auth", "key", "create", "--roles", "viewer"},
         {"auth", "key", "create", "a b", "--roles", "viewer"},
         {"auth", "key", "create", "local", "--roles", "viewer"},
         {"auth", "key", "create", "ci", "--roles", "root"},
         {"auth", "key", "create", "ci", "--roles", "viewer", "--types", "Support"},
         {"auth", "key", "create", "ci", "--roles", "viewer", "--types", "*,support"},
         {"auth", "key", "create", "ci", "--roles", "viewer", "--expires", "soon"}}) {
    const auto done = at.process.run(arguments);
    CHECK(done.code == 2);
    CHECK(done.out.empty());
  }
  CHECK_FALSE(fs::exists(at.file()));
  CHECK(at.process.run({"auth", "key", "create", "ci", "--roles", "viewer"}).code == 0);
  const auto twice = at.process.run({"auth", "key", "create", "ci", "--roles", "admin"});
  CHECK(twice.code == 5);
  CHECK(twice.out.empty());
  CHECK(at.keys().size() == 1);
  CHECK(at.process
          .run({"auth", "key", "create", "x", "--roles", "admin", "--keys-file", "/nowhere/at/all"})
          .code == 1);
}

TEST_CASE("auth key list: shows no digest in full; revoke ends one") {
  keys_folder at;
  CHECK(at.process.run({"auth", "key", "list"}).code == 4);
  REQUIRE(at.process.run({"auth", "key", "create", "a", "--roles", "viewer"}).code == 0);
  REQUIRE(
    at.process.run({"auth", "key", "create", "b", "--roles", "operator", "--types", "t"}).code ==
    0);
  for (const auto* format : {"table", "wide", "json", "yaml", "ids"}) {
    const auto listed = at.process.run({"auth", "key", "list", "-o", format});
    CHECK(listed.code == 0);
    CHECK(listed.out.find("a") != std::string::npos);
    for (const auto& key : at.keys())
      CHECK(listed.out.find(hex_text(key.hash).substr(0, 16)) == std::string::npos);
  }
  const auto listed = json::parse(at.process.run({"auth", "key", "list", "-o", "json"}).out);
  CHECK(listed["items"][1]["roles"] == json::array({"operator"}));
  CHECK(listed["items"][1]["types"] == json::array({"t"}));
  CHECK(at.process.run({"auth", "key", "revoke", "nobody"}).code == 4);
  CHECK(at.process.run({"auth", "key", "revoke", "a"}).code == 0);
  REQUIRE(at.keys().size() == 1);
  CHECK(at.keys()[0].who.name == "b");
}

TEST_CASE("audit list: asks for the log and shows who did what") {
  const json entry{{"kind", "audit"},
                   {"id", "3-1"},
                   {"at", "2026-11-21T12:00:00.000Z"},
                   {"by", "ops"},
                   {"method", "POST"},
                   {"route", "/v1/agents/{type}/{key}/pause"},
                   {"subject", "support/ada"},
                   {"outcome", "done"},
                   {"request_id", "req_1"},
                   {"hash", "00"}};
  fake_server server{
    test::always(json_answer(200, {{"items", json::array({entry})}, {"next", nullptr}}))};
  const auto done = fake_process{}.run(server, {"audit", "list"});
  CHECK(done.code == 0);
  CHECK(server.requests().at(0).line() == "GET /v1/audit?limit=500");
  for (const auto* word : {"ops", "POST", "/v1/agents/{type}/{key}/pause", "support/ada", "done"})
    CHECK(done.out.find(word) != std::string::npos);
}
