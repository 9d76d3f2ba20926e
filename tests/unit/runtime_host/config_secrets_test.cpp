#include "runtime/host/config_secrets.hpp"

#include <doctest/doctest.h>

#include <unistd.h>
#include <filesystem>
#include <fstream>

using namespace holdfast;

namespace {

struct temporary_file {
  std::filesystem::path path =
    std::filesystem::temp_directory_path() / ("holdfast-secret-" + std::to_string(::getpid()));
  ~temporary_file() { std::filesystem::remove(path); }
  void write(const std::string& text) const {
    std::ofstream{path, std::ios::binary | std::ios::trunc} << text;
  }
};

}  // namespace

TEST_CASE("config_secrets: a secret comes from its variable, else from HOLDFAST_SECRET_NAME") {
  const secret_store store{{{"billing", secret_from_env{"BILLING_TOKEN"}}},
                           {{"BILLING_TOKEN", "one\n"},
                            {"HOLDFAST_SECRET_BILLING", "other"},
                            {"HOLDFAST_SECRET_MY_API", "two"}}};
  CHECK(*store.secret("billing") == "one");
  CHECK(*store.secret("my-api") == "two");
  CHECK(*store.secret("my_api") == "two");
}

TEST_CASE("config_secrets: a missing secret names the variable to set and no value") {
  const secret_store store{{{"a", secret_from_env{"A_TOKEN"}}},
                           {{"HOLDFAST_SECRET_OTHER", "hunter2"}}};
  CHECK(store.secret("a").error().code == errc::not_found);
  CHECK(store.secret("a").error().context == "secret `a` is missing: set A_TOKEN");
  CHECK(store.secret("b-c").error().context.find("set HOLDFAST_SECRET_B_C, or") !=
        std::string::npos);
  for (const auto* name : {"", "A", "a b", "../x", "1a", "a.b"})
    CHECK(store.secret(name).error().code == errc::schema);
}

TEST_CASE("config_secrets: a file is read at every call and loses one line break") {
  const temporary_file file;
  const secret_store store{{{"f", secret_from_file{file.path}}}, {}};
  CHECK(store.secret("f").error().code == errc::io_failure);
  file.write("first\n");
  CHECK(*store.secret("f") == "first");
  file.write("second\n\n");
  CHECK(*store.secret("f") == "second\n");
  file.write("third\r\n");
  CHECK(*store.secret("f") == "third");
  file.write("");
  CHECK(store.secret("f").error().code == errc::schema);
  file.write("\n");
  CHECK(store.secret("f").error().code == errc::schema);
  file.write(std::string(64 * 1024, 'x') + "\n");
  CHECK(store.secret("f")->size() == 64 * 1024);
  file.write(std::string(64 * 1024 + 1, 'x'));
  const auto large = store.secret("f");
  REQUIRE(!large);
  CHECK(large.error().code == errc::too_large);
  CHECK(large.error().context.find("xxx") == std::string::npos);
  const secret_store folder{{{"f", secret_from_file{std::filesystem::temp_directory_path()}}}, {}};
  CHECK(!folder.secret("f"));
}
