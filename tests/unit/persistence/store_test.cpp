// What every store promises.

#include "persistence/store.hpp"

#include "tests/unit/persistence/fixture.hpp"

using namespace holdfast;
using namespace holdfast::testing;

TYPE_TO_STRING(in_memory);
TYPE_TO_STRING(in_rocksdb);
#define STORES in_memory, in_rocksdb

TEST_CASE("write_set: a cleared one is empty and has no bytes") {
  write_set writes;
  writes.put(family::journal, "key", "value");
  writes.erase(family::journal, "key");
  CHECK(writes.bytes() == 11);
  CHECK_FALSE(writes.empty());
  writes.clear();
  CHECK(writes.bytes() == 0);
  CHECK(writes.empty());
}

TEST_CASE_TEMPLATE("store: what was put is read, and absence is not an error", S, STORES) {
  S made;
  auto& db = made.db();
  CHECK_FALSE(read(db, family::journal, "a"));
  put(db, "a", std::string("with \0 in it", 12));
  put(db, std::string("\0\xFF", 2), "");
  CHECK(read(db, family::journal, "a") == std::string("with \0 in it", 12));
  CHECK(read(db, family::journal, std::string("\0\xFF", 2)) == "");
  CHECK_FALSE(read(db, family::mailbox, "a"));
}

TEST_CASE_TEMPLATE("store: a write set is applied in its order, over families", S, STORES) {
  S made;
  auto& db = made.db();
  write_set writes;
  for (std::size_t i = 0; i < family_count; ++i)
    writes.put(static_cast<family>(i), "key", std::to_string(i));
  writes.put(family::run, "key", "second");
  writes.erase(family::timer, "key");
  writes.put(family::mailbox, "once", "1");
  writes.single_erase(family::mailbox, "once");
  REQUIRE(db.write(writes, true));
  for (std::size_t i = 0; i < family_count; ++i) {
    const auto f = static_cast<family>(i);
    CAPTURE(to_string(f));
    const auto got = read(db, f, "key");
    if (f == family::timer)
      CHECK_FALSE(got);
    else
      CHECK(got == (f == family::run ? "second" : std::to_string(i)));
  }
  CHECK_FALSE(read(db, family::mailbox, "once"));
}

TEST_CASE_TEMPLATE("store: a scan holds the lower bound and not the upper one, both ways", S,
                   STORES) {
  S made;
  auto& db = made.db();
  for (const char* key : {"a", "b", "c", "d", "\xFF"})
    put(db, key, key);
  const auto keys_in = [&](std::string_view lower, std::string_view upper, bool descending) {
    std::string out;
    for (const auto& [key, value] : walk(db, family::journal, lower, upper, descending)) {
      CHECK(key == value);
      out += key;
    }
    return out;
  };
  CHECK(keys_in("b", "d", false) == "bc");
  CHECK(keys_in("b", "d", true) == "cb");
  CHECK(keys_in("aa", "bb", false) == "b");
  CHECK(keys_in("aa", "bb", true) == "b");
  CHECK(keys_in("", "\xFF\xFF", false) == "abcd\xFF");
  CHECK(keys_in("", "\xFF\xFF", true) ==
        "\xFF"
        "dcba");
  for (const bool descending : {false, true}) {
    CHECK(keys_in("c", "c", descending).empty());
    CHECK(keys_in("d", "a", descending).empty());
    CHECK(keys_in("e", "f", descending).empty());
    CHECK(keys_in("", "", descending).empty());
    CHECK(walk(db, family::mailbox, "", "\xFF", descending).empty());
  }
}

TEST_CASE_TEMPLATE("store: a scan sees neither erased keys nor another agent's", S, STORES) {
  S made;
  auto& db = made.db();
  write_set writes;
  for (std::uint64_t i = 1; i <= 300; ++i)
    for (const char* key : {"1", "11", "1/"})
      writes.put(family::mailbox, keys::numbered(7, {"order", key}, i), std::to_string(i));
  for (std::uint64_t i = 1; i <= 290; ++i)
    writes.single_erase(family::mailbox, keys::numbered(7, {"order", "1"}, i));
  REQUIRE(db.write(writes, true));
  made.restart();
  const auto range = keys::numbered_range(7, {"order", "1"});
  CHECK(walk(made.db(), family::mailbox, range.lower, range.upper).size() == 10);
  const auto last = made.db().scan(family::mailbox, range.lower, range.upper, true);
  REQUIRE(last->valid());
  CHECK(keys::number_of(last->key()) == 300);
}

TEST_CASE_TEMPLATE("store: snapshots and cursors do not see later writes", S, STORES) {
  S made;
  auto& db = made.db();
  put(db, "a", "1");
  put(db, "b", "1");
  const auto before = db.snapshot();
  const auto at = db.scan(family::journal, "a", "z");
  write_set writes;
  writes.put(family::journal, "a", "2");
  writes.erase(family::journal, "b");
  writes.put(family::journal, "c", "2");
  REQUIRE(db.write(writes, true));
  CHECK(read(*before, family::journal, "a") == "1");
  CHECK_FALSE(read(*before, family::journal, "c"));
  CHECK(walk(*before, family::journal, "a", "z") == rows{{"a", "1"}, {"b", "1"}});
  CHECK(walk(*before, family::journal, "a", "z", true) == rows{{"b", "1"}, {"a", "1"}});
  REQUIRE(at->valid());
  CHECK(at->value() == "1");
  at->next();
  REQUIRE(at->valid());
  CHECK(at->key() == "b");
  at->next();
  CHECK_FALSE(at->valid());
  CHECK(walk(db, family::journal, "a", "z") == rows{{"a", "2"}, {"c", "2"}});
}

TEST_CASE_TEMPLATE("store: durable writes survive a restart, large values too", S, STORES) {
  S made;
  const std::string large(100'000, 'x');  // beyond the size of a blob
  write_set writes;
  for (const auto f : {family::journal, family::message, family::memory, family::mailbox,
                       family::outbox, family::stream})
    writes.put(f, "large", large + std::string{to_string(f)});
  REQUIRE(made.db().write(writes, false));
  put(made.db(), "last", "1", true);  // makes the earlier ones durable too
  made.restart();
  for (const auto f : {family::journal, family::message, family::memory, family::mailbox,
                       family::outbox, family::stream})
    CHECK(read(made.db(), f, "large") == large + std::string{to_string(f)});
  CHECK(read(made.db(), family::journal, "last") == "1");
  write_set erased;
  erased.single_erase(family::mailbox, "large");
  REQUIRE(made.db().write(erased, true));
  made.restart();
  CHECK_FALSE(read(made.db(), family::mailbox, "large"));
}

TEST_CASE_TEMPLATE("store: an empty write set is written", S, STORES) {
  S made;
  CHECK(made.db().write(write_set{}, true));
}
