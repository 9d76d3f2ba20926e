// `cluster backup` and `cluster restore`, as a client sees them.

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "persistence/backup_file.hpp"
#include "persistence/keys.hpp"
#include "persistence/memory_store.hpp"
#include "tests/unit/tools/fake_server.hpp"

using namespace holdfast;
using test::fake_process;
using test::fake_server;
namespace fs = std::filesystem;

namespace {

/// Of two groups.
std::string backup_bytes() {
  memory_store from;
  write_set writes;
  for (group_id group = 0; group <= 1; ++group)
    writes.put(family::meta, keys::partition_state(group), "x");
  REQUIRE(from.write(writes, true));
  backup_writer writer;
  auto out = writer.begin({1, 1, 5, 1'795'248'000'000'000, "prod", "n1", "0.1.0", {0, 1}});
  for (group_id group = 0; group <= 1; ++group) {
    out += writer.chunk(export_chunk(from, group)->bytes);
    out += writer.end_group({group, 7, 1, *state_hash(from, group)});
  }
  return out + writer.end();
}

fake_server::answer_function backup_stream(std::string bytes) {
  return [bytes = std::move(bytes)](const test::recorded_request&, const net::responder& to) {
    const auto out = to.start_stream({200, "application/vnd.holdfast.backup", {}, {}});
    for (std::size_t at = 0; at < bytes.size(); at += 50)
      out.write(bytes.substr(at, 50));
    out.close();
  };
}

struct backup_folder {
  fs::path path;
  backup_folder() {
    auto name = (fs::temp_directory_path() / "holdfast-cli-backup-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~backup_folder() { fs::remove_all(path); }
  std::size_t files() const {
    return static_cast<std::size_t>(
      std::distance(fs::directory_iterator{path}, fs::directory_iterator{}));
  }
};

}  // namespace

TEST_CASE("cluster backup: a whole file, under its name, with what each group holds") {
  const backup_folder at;
  const auto file = (at.path / "monday").string();
  fake_server server{backup_stream(backup_bytes())};
  const auto done = fake_process{}.run(server, {"cluster", "backup", file, "-o", "json"});
  CHECK(done.code == 0);
  CHECK(done.err.empty());  // it was short
  const auto told = test::json::parse(done.out);
  CHECK(told["cluster"] == "prod");
  CHECK(told["groups"].size() == 2);
  CHECK(told["groups"][1]["applied"] == 7);
  CHECK(told["groups"][1]["state_hash"].get<std::string>().size() == 32);
  CHECK(told["bytes"] == fs::file_size(file));
  CHECK(at.files() == 1);
  std::ifstream in{file, std::ios::binary};
  CHECK(std::string{std::istreambuf_iterator<char>{in}, {}} == backup_bytes());
  CHECK(server.requests().at(0).line() == "POST /v1/cluster/backup");
  const auto again = fake_process{}.run(server, {"cluster", "backup", file});
  CHECK(again.code == 5);
  CHECK(server.requests().size() == 1);
}

TEST_CASE("cluster backup: one that is damaged or cut short leaves no file") {
  const backup_folder at;
  const auto file = (at.path / "monday").string();
  auto bytes = backup_bytes();
  for (const auto& bad : {bytes.substr(0, bytes.size() - 5), std::string{"nonsense"}, std::string{},
                          bytes.substr(0, 60) + '!' + bytes.substr(61)}) {
    fake_server server{backup_stream(bad)};
    const auto done = fake_process{}.run(server, {"cluster", "backup", file});
    CHECK(done.code == 1);
    CHECK(done.err.find("nothing was kept") != std::string::npos);
    CHECK(at.files() == 0);
  }
}

TEST_CASE("cluster backup: what the server refuses is said as by every verb") {
  const backup_folder at;
  const auto file = (at.path / "monday").string();
  fake_server server{
    test::always(test::problem(409, "conflict", "this node is taking a backup already"))};
  const auto done = fake_process{}.run(server, {"cluster", "backup", file});
  CHECK(done.code == 5);
  CHECK(done.err.find("already") != std::string::npos);
  CHECK(at.files() == 0);
  const auto nowhere = fake_process{}.run({"cluster", "backup", "/nonexistent/x/y"});
  CHECK(nowhere.code == 1);
}

TEST_CASE("cluster restore: is handed the file, the settings and the flags") {
  const auto done = fake_process{}.run(
    {"cluster", "restore", "f", "--config", "node.yaml", "--data", "d", "--node", "n7"});
  CHECK(done.code == 0);
  CHECK(done.out == "f node.yaml d n7\n");
  CHECK(fake_process{}.run({"cluster", "restore"}).code == 2);
}
