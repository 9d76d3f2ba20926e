#include "runtime/host/config_environment.hpp"

#include <doctest/doctest.h>

#include <cstdlib>

using namespace holdfast;

TEST_CASE("config_environment: a .env file gives names and values as they are written") {
  auto in = parse_env_file(
    "# comment\n\nA=1\nexport B=two words \nC = spaced\nD=\"quo\\\"ted # no comment\\n\" # "
    "comment\nE='as \\n it $is'\nF=\nG=a#b\nH=a #c\nI=\"$X\"\r\n",
    ".env");
  REQUIRE_MESSAGE(in, in.error().context);
  CHECK(in->at("A") == "1");
  CHECK(in->at("B") == "two words");
  CHECK(in->at("C") == "spaced");
  CHECK(in->at("D") == "quo\"ted # no comment\n");
  CHECK(in->at("E") == "as \\n it $is");
  CHECK(in->at("F").empty());
  CHECK(in->at("G") == "a#b");
  CHECK(in->at("H") == "a");
  CHECK(in->at("I") == "$X");
  CHECK(in->size() == 9);
}

TEST_CASE(
  "config_environment: a line that is no setting is refused with its number and without its "
  "value") {
  for (const auto* text : {"A=1\nhunter2", "A=1\n9A=hunter2", "A=1\nA B=hunter2", "A=1\n=hunter2",
                           "A=1\nB=\"hunter2", "A=1\nB='hunter2' x"}) {
    auto in = parse_env_file(text, "dir/.env");
    REQUIRE(!in);
    CHECK(in.error().code == errc::schema);
    CHECK(in.error().context.starts_with("dir/.env:2: "));
    CHECK(in.error().context.find("hunter2") == std::string::npos);
  }
}

TEST_CASE("config_environment: the process's variables are there") {
  ::setenv("HOLDFAST_TEST_VARIABLE", "a=b", 1);
  const auto env = process_environment();
  REQUIRE(env.contains("HOLDFAST_TEST_VARIABLE"));
  CHECK(env.at("HOLDFAST_TEST_VARIABLE") == "a=b");
}
