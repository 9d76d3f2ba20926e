#include "persistence/memory_store.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <utility>
#include <vector>

#include "tests/unit/persistence/fixture.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

std::optional<std::string> journal_value(const reader& from, std::string_view key) {
  auto got = from.get(family::journal, key);
  REQUIRE(got);
  return *got;
}

template <class F>
bool aborts(F act) {
  const auto child = fork();
  if (child == 0) {
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    std::signal(SIGABRT, SIG_DFL);
    act();
    _exit(0);
  }
  int ended = 0;
  REQUIRE(waitpid(child, &ended, 0) == child);
  return WIFSIGNALED(ended) && WTERMSIG(ended) == SIGABRT;
}

}  // namespace

TEST_CASE("store: every family has its own name") {
  std::vector<std::string_view> seen;
  for (std::size_t i = 0; i < family_count; ++i) {
    const auto name = to_string(static_cast<family>(i));
    CHECK(name != "unknown");
    for (const auto other : seen)
      CHECK(name != other);
    seen.push_back(name);
  }
}

TEST_CASE("memory_store: a write set is applied in its order") {
  memory_store db;
  write_set writes;
  writes.put(family::journal, "a", "1");
  writes.put(family::journal, "a", "2");
  writes.put(family::journal, "b", "3");
  writes.erase(family::journal, "b");
  writes.erase(family::journal, "absent");
  CHECK(writes.bytes() == 13);
  REQUIRE(db.write(writes, true));
  CHECK(walk(db, family::journal, "", "z") == rows{{"a", "2"}});
  CHECK(db.size(family::journal) == 1);
  CHECK(db.size(family::mailbox) == 0);
  CHECK_FALSE(journal_value(db, "b"));
}

TEST_CASE("memory_store: a scan holds the lower bound, not the upper one, both ways") {
  memory_store db;
  for (const char* key : {"a", "b", "c", "d"})
    put(db, key, "");
  CHECK(walk(db, family::journal, "b", "d") == rows{{"b", ""}, {"c", ""}});
  CHECK(walk(db, family::journal, "b", "d", true) == rows{{"c", ""}, {"b", ""}});
  CHECK(walk(db, family::journal, "aa", "bb") == rows{{"b", ""}});
  CHECK(walk(db, family::journal, "c", "c").empty());
  CHECK(walk(db, family::journal, "d", "a").empty());
  CHECK(walk(db, family::journal, "d", "a", true).empty());
  CHECK(walk(db, family::mailbox, "a", "z").empty());
  put(db, "\xFF", "high");
  CHECK(walk(db, family::journal, "d", "\xFF\xFF", true) == rows{{"\xFF", "high"}, {"d", ""}});
}

TEST_CASE("memory_store: snapshots and cursors do not see later writes") {
  memory_store db;
  put(db, "a", "1");
  put(db, "b", "1");
  const auto before = db.snapshot();
  const auto at = db.scan(family::journal, "a", "z");
  write_set writes;
  writes.put(family::journal, "a", "2");
  writes.erase(family::journal, "b");
  writes.put(family::journal, "c", "2");
  REQUIRE(db.write(writes, true));
  CHECK(journal_value(*before, "a") == "1");
  CHECK_FALSE(journal_value(*before, "c"));
  CHECK(walk(*before, family::journal, "a", "z") == rows{{"a", "1"}, {"b", "1"}});
  CHECK(at->value() == "1");
  at->next();
  REQUIRE(at->valid());
  CHECK(at->key() == "b");
  CHECK(walk(db, family::journal, "a", "z") == rows{{"a", "2"}, {"c", "2"}});
}

TEST_CASE("memory_store: a snapshot survives a crash of what it shows") {
  memory_store db;
  put(db, "a", "1", false);
  const auto before = db.snapshot();
  db.crash();
  CHECK(journal_value(*before, "a") == "1");
  CHECK_FALSE(journal_value(db, "a"));
}

TEST_CASE("memory_store: a crash goes back to the last durable write") {
  memory_store db;
  put(db, "a", "1", false);
  put(db, "b", "1", true);  // makes the earlier one durable too
  put(db, "a", "2", false);
  put(db, "a", "3", false);
  put(db, "c", "1", false);
  write_set writes;
  writes.erase(family::journal, "b");
  REQUIRE(db.write(writes, false));
  CHECK(walk(db, family::journal, "a", "z") == rows{{"a", "3"}, {"c", "1"}});
  db.crash();
  CHECK(walk(db, family::journal, "a", "z") == rows{{"a", "1"}, {"b", "1"}});
  db.crash();
  CHECK(walk(db, family::journal, "a", "z") == rows{{"a", "1"}, {"b", "1"}});
  CHECK(db.durable_writes() == 1);
}

TEST_CASE("memory_store: a write that was told to fail changes nothing, and only one fails") {
  memory_store db;
  put(db, "a", "1", false);
  db.fail_next_write(errc::io_failure);
  write_set writes;
  writes.put(family::journal, "a", "2");
  const auto failed = db.write(writes, true);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == errc::io_failure);
  CHECK(journal_value(db, "a") == "1");
  CHECK(db.durable_writes() == 0);
  REQUIRE(db.write(writes, true));
  CHECK(journal_value(db, "a") == "2");
}

TEST_CASE("memory_store: a key put once may be single-erased, an absent one too") {
  memory_store db;
  for (int i = 0; i < 2; ++i) {
    put(db, "a", "1");
    write_set writes;
    writes.single_erase(family::journal, "a");
    writes.single_erase(family::journal, "a");
    REQUIRE(db.write(writes, true));
    CHECK_FALSE(journal_value(db, "a"));
  }
}

TEST_CASE("memory_store: single_erase of a key that was put twice aborts") {
  memory_store db;
  put(db, "a", "1");
  put(db, "a", "1");
  write_set writes;
  writes.single_erase(family::journal, "a");
  CHECK(aborts([&] { static_cast<void>(db.write(writes, true)); }));
  write_set erased;
  erased.erase(family::journal, "a");
  erased.put(family::journal, "a", "2");
  REQUIRE(db.write(erased, true));
  CHECK_FALSE(aborts([&] { static_cast<void>(db.write(writes, true)); }));
}

TEST_CASE(
  "memory_store: single_erase of a key that erase has erased aborts, until it is put again") {
  memory_store db;
  put(db, "a", "1");
  write_set erased;
  erased.erase(family::journal, "a");
  write_set single;
  single.single_erase(family::journal, "a");
  REQUIRE(db.write(erased, false));
  CHECK(aborts([&] { static_cast<void>(db.write(single, true)); }));
  db.crash();
  CHECK_FALSE(aborts([&] { static_cast<void>(db.write(single, true)); }));
  REQUIRE(db.write(erased, true));
  put(db, "a", "2");
  CHECK_FALSE(aborts([&] { static_cast<void>(db.write(single, true)); }));
}

TEST_CASE("memory_store: a crash takes back puts that would make a single_erase wrong") {
  memory_store db;
  put(db, "a", "1", true);
  put(db, "a", "2", false);
  db.crash();
  write_set writes;
  writes.single_erase(family::journal, "a");
  REQUIRE(db.write(writes, false));
  db.crash();
  CHECK(journal_value(db, "a") == "1");
}
