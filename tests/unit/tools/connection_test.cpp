#include "tools/holdfast/connection.hpp"

#include <doctest/doctest.h>

#include <map>

using namespace holdfast;
using namespace holdfast::cli;

namespace {

variable_lookup variables(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const char* name) {
    const auto it = values.find(name);
    return it == values.end() ? std::nullopt : std::optional{it->second};
  };
}

const std::string contexts_file = R"(current: home
contexts:
  home: { server: "http://home:1", token: home-token }
  prod: { server: "https://prod:2/", token: prod-token, ca: ca.pem }
)";

}  // namespace

TEST_CASE("connection: without anything it is the default address") {
  const auto to = resolve_connection({}, variables({}), std::nullopt);
  REQUIRE(to);
  CHECK(to->server == "http://127.0.0.1:7070");
  CHECK(to->token.empty());
}

TEST_CASE("connection: flag beats variable beats file") {
  auto from_file = resolve_connection({}, variables({}), contexts_file);
  REQUIRE(from_file);
  CHECK(from_file->server == "http://home:1");
  CHECK(from_file->token == "home-token");

  const auto env =
    variables({{"HOLDFAST_SERVER", "http://env:3"}, {"HOLDFAST_TOKEN", "env-token"}});
  auto from_env = resolve_connection({}, env, contexts_file);
  REQUIRE(from_env);
  CHECK(from_env->server == "http://env:3");
  CHECK(from_env->token == "env-token");

  auto from_flag =
    resolve_connection({.server = "http://flag:4", .token = "flag-token"}, env, contexts_file);
  REQUIRE(from_flag);
  CHECK(from_flag->server == "http://flag:4");
  CHECK(from_flag->token == "flag-token");
}

TEST_CASE("connection: a token of the file is never sent to another server") {
  auto to = resolve_connection({.server = "http://elsewhere:9"}, variables({}), contexts_file);
  REQUIRE(to);
  CHECK(to->token.empty());
  to = resolve_connection({.server = "http://elsewhere:9", .context = "prod"}, variables({}),
                          contexts_file);
  REQUIRE(to);
  CHECK(to->token.empty());
}

TEST_CASE("connection: a context can be named by flag and by variable") {
  const auto env =
    variables({{"HOLDFAST_SERVER", "http://env:3"}, {"HOLDFAST_TOKEN", "env-token"}});
  auto to = resolve_connection({.context = "prod"}, env, contexts_file);
  REQUIRE(to);
  CHECK(to->server == "https://prod:2");
  CHECK(to->token == "prod-token");
  CHECK(to->ca_file == "ca.pem");
  to = resolve_connection({}, variables({{"HOLDFAST_CONTEXT", "prod"}}), contexts_file);
  REQUIRE(to);
  CHECK(to->server == "https://prod:2");
}

TEST_CASE("connection: an unknown context, key or URL is refused by name") {
  auto to = resolve_connection({.context = "nope"}, variables({}), contexts_file);
  REQUIRE(!to);
  CHECK(to.error().context.find("nope") != std::string::npos);
  to = resolve_connection({}, variables({}), "current: a\ncontexts: { a: { sever: x } }\n");
  REQUIRE(!to);
  CHECK(to.error().context.find("sever") != std::string::npos);
  CHECK(!resolve_connection({.server = "ftp://x"}, variables({}), std::nullopt));
  CHECK(!resolve_connection({.server = "http://user:pw@x"}, variables({}), std::nullopt));
}

TEST_CASE("connection: a server without a scheme is plain http, slashes at the end go") {
  const auto to = resolve_connection({.server = "localhost:7070//"}, variables({}), std::nullopt);
  REQUIRE(to);
  CHECK(to->server == "http://localhost:7070");
}

TEST_CASE("connection: the file lies where XDG says, else below the home") {
  CHECK(context_file_path(variables({{"HOME", "/h"}})) == "/h/.config/holdfast/config.yaml");
  CHECK(context_file_path(variables({{"HOME", "/h"}, {"XDG_CONFIG_HOME", "/x"}})) ==
        "/x/holdfast/config.yaml");
  CHECK(context_file_path(variables({})).empty());
}

TEST_CASE("connection: an authority is named by flag, variable or context") {
  const auto env = variables({{"HOLDFAST_CA", "env.pem"}});
  CHECK(resolve_connection({}, env, std::nullopt)->ca_file == "env.pem");
  CHECK(resolve_connection({.ca_file = "flag.pem"}, env, std::nullopt)->ca_file == "flag.pem");
  CHECK(resolve_connection({.context = "prod"}, env, contexts_file)->ca_file == "ca.pem");
  CHECK(resolve_connection({.context = "home"}, env, contexts_file)->ca_file == "env.pem");
  CHECK(resolve_connection({}, variables({}), contexts_file)->ca_file.empty());
}
