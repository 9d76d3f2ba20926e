// What only the store on disk can show of an import: files, and what a crash leaves.

#include "persistence/rocksdb_import.hpp"

#include <algorithm>
#include <csignal>
#include <fstream>
#include <thread>

#include "persistence/kill_point.hpp"
#include "persistence/rocksdb_settings.hpp"
#include "tests/unit/persistence/child.hpp"
#include "tests/unit/persistence/group_fixture.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

constexpr const char* import_child = "rocksdb_import child: installs one state after the other";
constexpr group_id import_group = 5;

std::string numbered_text(std::uint64_t number, std::size_t size) {
  std::mt19937 random{static_cast<std::uint32_t>(number)};
  return random_bytes(random, size);
}

/// The state number `generation`; every one has keys that the one before has not, and the other way round.
void put_generation(store& to, std::uint64_t generation) {
  const auto prefix = keys::group(import_group).lower;
  write_set writes;
  writes.put(family::meta, keys::partition_state(import_group), std::to_string(generation));
  for (const auto in : {family::journal, family::mailbox, family::run, family::timer})
    for (std::uint64_t i = 0; i < 40; ++i)
      if ((i + generation) % 3 != 0 && (in != family::timer || generation % 2 == 0))
        writes.put(in, keys::numbered(import_group, {"order", "a"}, i),
                   numbered_text(generation * 100 + i, i % 10 == 0 ? 6'000 : 50));
  apply(to, writes);
}

write_set books_of(std::uint64_t generation) {
  write_set extra;
  put_log_state(import_group, {1, generation}, extra);
  extra.put(family::log, keys::group(import_group).lower + std::to_string(generation), "entry");
  return extra;
}

/// What the group is in this generation.
std::array<rows, family_count> all_of_generation(std::uint64_t generation) {
  memory_store out;
  put_generation(out, generation);
  apply(out, books_of(generation));
  return all_of(out, import_group);
}

std::size_t staged_in(const std::string& path) {
  std::size_t out = 0;
  std::error_code none;
  for (std::filesystem::recursive_directory_iterator at(path + "/incoming", none), end; at != end;
       at.increment(none))
    ++out;
  return out;
}

std::size_t tables_in(const std::string& path) {
  std::size_t out = 0;
  for (const auto& at : std::filesystem::directory_iterator(path))
    out += at.path().extension() == ".sst" ? 1 : 0;
  return out;
}

struct generation_message {
  std::uint64_t generation = 0;
  bool installed = false;
};

}  // namespace

TEST_CASE("rocksdb_import child: installs one state after the other" * doctest::skip()) {
  const auto path = child::variable("HOLDFAST_TEST_FOLDER");
  if (path.empty())
    return;  // somebody runs all skipped tests
  arm_kill_points();
  auto db = open_folder(path);
  const auto known = read_log_state(*db, import_group);
  REQUIRE(known);
  for (auto generation = known->applied + 1;; ++generation) {
    write_set other;  // of another group, now and then synced
    other.put(family::journal, keys::numbered(4, {"order", "a"}, generation), "value");
    REQUIRE(db->write(other, generation % 2 == 0));
    memory_store source;
    put_generation(source, generation);
    const auto into = begin_import(*db, import_group);
    take_all(source, *into, 2'000);
    generation_message one{generation, false};
    child::send(&one, sizeof one);
    REQUIRE(into->install(books_of(generation)));
    one.installed = true;
    child::send(&one, sizeof one);
    write_set after;  // to the new state: what a later import must replace, in memory or not
    after.put(family::stream, keys::numbered(import_group, {"order", "a"}, generation), "value");
    after.single_erase(family::stream, keys::numbered(import_group, {"order", "a"}, generation));
    REQUIRE(db->write(after, false));
  }
}

TEST_CASE("rocksdb_import: killed anywhere, the group is as it was or as it was to be") {
  folder made;
  const auto path = (made.path() / "data").string();
  const std::vector<std::string> points{
    "import.chunk:1",   "import.chunk:7",     "import.file:1",    "import.file:3",
    "import.staged:1",  "import.sealed:1",    "install.before:1", "install.staged:1",
    "install.synced:1", "install.ingested:1", "install.after:1",  "import.staged:2",
    "install.synced:3", "install.ingested:2", "install.after:4",  "import.chunk:60",
  };
  std::mt19937 random{21};
  std::uint64_t last = 0;
  {
    const auto db = open_folder(path);
    write_set writes;  // generation 0 is nothing
    put_log_state(import_group, {1, 0}, writes);
    apply(*db, writes);
  }
  for (std::size_t round = 0; round < points.size() + 12; ++round) {
    const bool at_point = round < points.size();
    CAPTURE(round);
    CAPTURE((at_point ? points[round] : std::string("anywhere")));
    std::vector<std::pair<std::string, std::string>> environment{{"HOLDFAST_TEST_FOLDER", path}};
    if (at_point)
      environment.emplace_back("HOLDFAST_KILL_POINT", points[round]);
    child process{import_child, environment};
    std::thread killer;
    if (!at_point) {
      generation_message first;
      REQUIRE(process.receive(&first, sizeof first));
      const auto after = std::chrono::microseconds(random() % 100'000);
      killer = std::thread([&process, after] {
        std::this_thread::sleep_for(after);
        process.kill();
      });
      last = first.generation - 1;
    }
    std::uint64_t begun = 0;
    for (generation_message one; process.receive(&one, sizeof one);) {
      begun = std::max(begun, one.generation);
      if (one.installed)
        last = std::max(last, one.generation);
    }
    if (killer.joinable())
      killer.join();
    CHECK(process.wait() == -SIGKILL);
    {
      const auto db = open_folder(path, true);  // nothing has to be mended to read it
      const auto books = read_log_state(*db, import_group);
      REQUIRE(books);
      const auto found = books->applied;
      CHECK(found >= last);
      CHECK(found <= std::max(begun, last + 1));
      CHECK(found <= last + 1);
      last = found;
      auto expected = all_of_generation(found);
      if (found == 0) {
        memory_store nothing;
        write_set writes;
        put_log_state(import_group, {1, 0}, writes);
        apply(nothing, writes);
        expected = all_of(nothing, import_group);
      }
      CHECK(all_of(*db, import_group) == expected);
      for (std::uint64_t i = 1; i <= found;
           ++i)  // what was written before an install is no less durable
        CHECK(read(*db, family::journal, keys::numbered(4, {"order", "a"}, i)));
    }
    const auto db = open_folder(path);
    CHECK(staged_in(path) == 0);
    if (last > 0)
      CHECK(all_of(*db, import_group) == all_of_generation(last));
  }
  CHECK(last > 10);
}

TEST_CASE(
  "rocksdb_import: what is staged goes with the import, and what a crash left at the next open") {
  folder made;
  const auto path = (made.path() / "data").string();
  memory_store source;
  put_generation(source, 2);
  {
    const auto db = open_folder(path);
    CHECK_FALSE(std::filesystem::exists(path + "/incoming"));
    {
      const auto into = begin_import(*db, import_group);
      REQUIRE(into->add(chunk_of(source, import_group, {}, 60'000).bytes));
      CHECK(staged_in(path) > 1);
    }
    CHECK(staged_in(path) == 0);
    copy_group(source, *db, import_group);
    CHECK(staged_in(path) == 0);
  }
  std::filesystem::create_directories(path + "/incoming/5.1");
  std::ofstream(path + "/incoming/5.1/journal-0.sst") << "cut short";
  const auto tables = tables_in(path);
  open_folder(path, true).reset();
  CHECK(staged_in(path) == 2);
  CHECK(tables_in(path) == tables);
  open_folder(path).reset();
  CHECK_FALSE(std::filesystem::exists(path + "/incoming"));
}

TEST_CASE("rocksdb_import: a disk that fails while staging fails the import and not the store") {
  folder made;
  const auto path = (made.path() / "data").string();
  memory_store source;
  put_generation(source, 2);
  const auto db = open_folder(path);
  const auto into = begin_import(*db, import_group);
  std::filesystem::remove_all(path + "/incoming");
  const auto chunk = chunk_of(source, import_group);
  CHECK(code_of(into->add(chunk.bytes)) == errc::io_failure);
  CHECK(code_of(into->add(chunk.bytes)) == errc::io_failure);
  CHECK_FALSE(into->complete());
  put_generation(*db, 3);
  copy_group(source, *db, import_group, books_of(2));
  CHECK(all_of(*db, import_group) == all_of_generation(2));
}

TEST_CASE(
  "rocksdb_import: an install that fails is final for the store, and the old state is there") {
  folder made;
  const auto path = (made.path() / "data").string();
  memory_store source;
  put_generation(source, 2);
  {
    const auto db = open_folder(path);
    put_generation(*db, 1);
    apply(*db, books_of(1));
    const auto into = begin_import(*db, import_group);
    take_all(source, *into);
    std::filesystem::remove_all(path + "/incoming");
    CHECK(code_of(into->install(books_of(2))) == errc::io_failure);
    write_set writes;
    writes.put(family::journal, "x", "y");
    CHECK(code_of(db->write(writes, true)) == errc::io_failure);
    CHECK(all_of(*db, import_group) == all_of_generation(1));
  }
  CHECK(all_of(*open_folder(path), import_group) == all_of_generation(1));
}

TEST_CASE(
  "rocksdb_import: in an empty folder all files go to the last level, where nothing is read "
  "twice") {
  folder made;
  const auto path = (made.path() / "data").string();
  {
    memory_store source;
    write_set writes;
    for (std::uint64_t i = 0; i < 80; ++i)
      writes.put(family::run, keys::numbered(import_group, {"order", "a"}, i),
                 numbered_text(i, 1U << 20));
    apply(source, writes);
    copy_group(source, *open_folder(path), import_group);
  }
  auto settings = settings_for({path, 64ULL << 20, false, true});
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  rocksdb::DB* opened = nullptr;
  REQUIRE(
    rocksdb::DB::OpenForReadOnly(settings.db, path, settings.families, &families, &opened).ok());
  const std::unique_ptr<rocksdb::DB> db{opened};
  auto* runs = families[static_cast<std::size_t>(family::run)];
  const auto files_at = [&](int level) {
    std::string files;
    CHECK(db->GetProperty(runs, "rocksdb.num-files-at-level" + std::to_string(level), &files));
    return files;
  };
  CHECK(files_at(0) == "0");
  CHECK(files_at(6) == "3");
  for (auto* one : families)
    db->DestroyColumnFamilyHandle(one).PermitUncheckedError();
}
