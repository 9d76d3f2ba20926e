#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/tools/fake_server.hpp"

using holdfast::test::fake_process;
namespace fs = std::filesystem;

namespace {

struct folder {
  fs::path path;
  folder() {
    auto name = (fs::temp_directory_path() / "holdfast-init-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~folder() { fs::remove_all(path); }
};

std::string read(const fs::path& file) {
  std::ifstream in{file};
  return {std::istreambuf_iterator<char>{in}, {}};
}

}  // namespace

TEST_CASE(
  "init: writes an agent, a script, a hook and a secret of its own, and says what is next") {
  folder parent;
  const auto dir = parent.path / "demo";
  const auto done = fake_process{}.run({"init", dir.string()});
  CHECK(done.code == 0);
  for (const auto* name : {"agent.yaml", "script.yaml", "hook.yaml", "README.md", ".env"})
    CHECK(done.out.find(name) != std::string::npos);
  CHECK(done.err.find("holdfast dev " + dir.string()) != std::string::npos);
  const auto secret = read(dir / ".env");
  CHECK(secret.starts_with("HOLDFAST_SECRET_SHOP="));
  CHECK(secret.find('\n') == 21 + 64);
  struct stat status {};
  REQUIRE(stat((dir / ".env").c_str(), &status) == 0);
  CHECK((status.st_mode & 077) == 0);
  fake_process{}.run({"init", (parent.path / "other").string()});
  CHECK(read(parent.path / "other" / ".env") != secret);
}

TEST_CASE("init: overwrites nothing, and then writes nothing else either") {
  folder dir;
  std::ofstream{dir.path / "hook.yaml"} << "mine";
  const auto done = fake_process{}.run({"init", dir.path.string()});
  CHECK(done.code == 5);
  CHECK(done.err.find("hook.yaml") != std::string::npos);
  CHECK(read(dir.path / "hook.yaml") == "mine");
  CHECK(!fs::exists(dir.path / "agent.yaml"));
}
