// In memory and on disk alike: a group's state is taken in and put in the place of the old one.

#include "persistence/group_import.hpp"

#include <thread>

#include "tests/unit/persistence/group_fixture.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

/// Gives one row, whatever it is asked for in that family.
struct lying_reader final : reader {
  struct one_row final : cursor {
    explicit one_row(rows what) : left(std::move(what)) {}
    bool valid() const override { return at < left.size(); }
    std::string_view key() const override { return left[at].first; }
    std::string_view value() const override { return left[at].second; }
    void next() override { ++at; }
    status state() const override { return ok_status(); }
    rows left;
    std::size_t at = 0;
  };
  lying_reader(family where, rows what) : in(where), left(std::move(what)) {}
  result<std::optional<std::string>> get(family, std::string_view) const override {
    return std::optional<std::string>{};
  }
  std::unique_ptr<cursor> scan(family asked, std::string_view, std::string_view,
                               bool) const override {
    return std::make_unique<one_row>(asked == in ? left : rows{});
  }
  family in;
  rows left;
};

/// As `source` has it, with the log and its books as `extra` says and no others.
std::array<rows, family_count> expected_of(const reader& source, group_id group,
                                           const write_set& kept = {},
                                           const write_set& extra = {}) {
  memory_store out;
  apply(out, kept);
  for (const auto& range : state_ranges(group))
    for (const auto& [key, value] : walk(source, range.in, range.keys.lower, range.keys.upper)) {
      write_set writes;
      writes.put(range.in, key, value);
      apply(out, writes);
    }
  apply(out, extra);
  return all_of(out, group);
}

}  // namespace

TEST_CASE_TEMPLATE("group_import: what was exported is what is there, from any store to any other",
                   Target, in_memory, in_rocksdb) {
  std::mt19937 random{11};
  in_memory memory;
  in_rocksdb disk;
  for (int round = 0; round < 6; ++round) {
    CAPTURE(round);
    const auto group = static_cast<group_id>(round * 50);
    auto& source = round % 2 == 0 ? memory.db() : disk.db();
    apply(source, random_state(random, group, 40));
    apply(source, random_log(random, group));
    Target target;
    write_set books;
    put_log_state(group, {1, 2}, books);
    copy_group(source, target.db(), group, books, 1 + random() % 100'000);
    for (int time = 0; time < 2; ++time) {
      CHECK(all_of(target.db(), group) == expected_of(source, group, {}, books));
      CHECK(hash_of_state(target.db(), group) == hash_of_state(source, group));
      target.restart();
    }
  }
}

TEST_CASE_TEMPLATE("group_import: the old state and the old log go, other groups stay", Target,
                   in_memory, in_rocksdb) {
  std::mt19937 random{12};
  in_memory source;
  apply(source.db(), random_state(random, 5, 30));
  Target target;
  write_set node;
  node.put(family::meta, keys::node("name"), "kept");
  apply(target.db(), node);
  for (const group_id group : {group_id{4}, group_id{5}, group_id{6}}) {
    apply(target.db(), random_state(random, group, 30));
    if (group % 2 == 0)
      target.restart();  // some of it in files, some in memory
    apply(target.db(), random_log(random, group));
  }
  write_set shared;  // keys that are in both
  const auto more = random_state(random, 5, 30);
  for (const auto& op : more.ops())
    shared.put(op.in, op.key, "old");
  apply(target.db(), shared);
  for (const auto& op : shared.ops())
    if (op.in != family::meta && random() % 2 == 0) {
      write_set same;
      same.put(op.in, op.key, "new");
      apply(source.db(), same);
    }
  const auto before_4 = all_of(target.db(), 4);
  const auto before_6 = all_of(target.db(), 6);
  const auto before_5 = all_of(target.db(), 5);
  auto held = target.db().snapshot();
  auto into = begin_import(target.db(), 5);
  take_all(source.db(), *into, 10'000);
  CHECK(all_of(target.db(), 5) == before_5);
  write_set extra;
  put_log_state(5, {77, 88}, extra);
  extra.put(family::log, keys::group(5).lower + "entry", "1");
  extra.put(family::log, keys::group(5).lower + "gone", "1");
  extra.erase(family::log, keys::group(5).lower + "gone");
  REQUIRE(into->install(extra));
  CHECK(all_of(*held, 5) == before_5);
  for (int time = 0; time < 2; ++time) {
    CHECK(all_of(target.db(), 5) == expected_of(source.db(), 5, {}, extra));
    CHECK(*read_log_state(target.db(), 5) == log_state{77, 88});
    CHECK(all_of(target.db(), 4) == before_4);
    CHECK(all_of(target.db(), 6) == before_6);
    CHECK(read(target.db(), family::meta, keys::node("name")) == "kept");
    held.reset();
    into.reset();
    target.restart();
  }
}

TEST_CASE_TEMPLATE("group_import: an empty group replaces what was there; books stay unless said",
                   Target, in_memory, in_rocksdb) {
  std::mt19937 random{13};
  in_memory source;
  Target target;
  apply(target.db(), random_state(random, 5));
  write_set books;
  put_log_state(5, {3, 4}, books);
  apply(target.db(), books);
  copy_group(source.db(), target.db(), 5);
  CHECK(all_of(target.db(), 5) == expected_of(source.db(), 5, books));
  CHECK(*read_log_state(target.db(), 5) == log_state{3, 4});
  write_set none;
  none.erase(family::meta, keys::log_state(5));
  copy_group(source.db(), target.db(), 5, none);
  target.restart();
  CHECK(all_of(target.db(), 5) == std::array<rows, family_count>{});
}

TEST_CASE_TEMPLATE("group_import: fifty thousand keys over fifty thousand others", Target,
                   in_memory, in_rocksdb) {
  std::mt19937 random{14};
  const auto fill = [&](store& db, std::uint64_t from) {
    write_set writes;
    for (std::uint64_t i = 0; i < 50'000; ++i) {
      writes.put(family::message, keys::numbered(5, {"order", "a"}, from + i),
                 random_bytes(random, 1'000));
      if (writes.ops().size() == 1'000) {
        apply(db, writes);
        writes.clear();
      }
    }
  };
  in_memory source;
  fill(source.db(), 25'000);
  Target target;
  fill(target.db(), 0);
  copy_group(source.db(), target.db(), 5);
  const auto hash = hash_of_state(source.db(), 5);
  CHECK(hash_of_state(target.db(), 5) == hash);
  target.restart();
  CHECK(hash_of_state(target.db(), 5) == hash);
  const auto key = keys::numbered(5, {"order", "a"}, 0);
  CHECK_FALSE(read(target.db(), family::message, key));
}

TEST_CASE_TEMPLATE("group_import: what is damaged, of another group or no state is refused", Target,
                   in_memory, in_rocksdb) {
  std::mt19937 random{15};
  in_memory source;
  apply(source.db(), random_state(random, 5));
  apply(source.db(), random_state(random, 6));
  Target target;
  const auto into = begin_import(target.db(), 5);
  const auto good = chunk_of(source.db(), 5, {}, 10'000);
  auto bad = good.bytes;
  bad[bad.size() / 2] = static_cast<char>(bad[bad.size() / 2] + 1);
  CHECK(code_of(into->add(bad)) == errc::corrupt);
  CHECK(code_of(into->add("")) == errc::corrupt);
  CHECK(code_of(into->add(chunk_of(source.db(), 6).bytes)) == errc::conflict);
  const auto says = [&](family in, rows what) {
    return code_of(into->add(chunk_of(lying_reader(in, std::move(what)), 5).bytes));
  };
  const auto other = keys::group(6).lower;
  CHECK(says(family::journal, {{other + "x", "of another group"}}) == errc::conflict);
  CHECK(says(family::journal, {{keys::group(4).lower + "x", "of another group"}}) ==
        errc::conflict);
  CHECK(says(family::journal, {{"", "of nobody"}}) == errc::conflict);
  CHECK(says(family::journal, {{keys::node("name"), "of the node"}}) == errc::conflict);
  CHECK(says(family::meta, {{keys::log_state(5), "of the log"}}) == errc::conflict);
  CHECK(says(family::meta, {{keys::partition_state(6), "of another group"}}) == errc::conflict);
  const auto own = keys::group(5).lower;
  CHECK(says(family::journal, {{own + "b", ""}, {own + "a", ""}}) == errc::conflict);
  CHECK(says(family::journal, {{own + "a", ""}, {own + "a", ""}}) == errc::conflict);
  CHECK(into->position().empty());
  REQUIRE(into->add(good.bytes));
  take_all(source.db(), *into);
  REQUIRE(into->install({}));
  CHECK(all_of(target.db(), 5) == expected_of(source.db(), 5));
}

TEST_CASE_TEMPLATE("group_import: goes on where it was, and takes each chunk of one state once",
                   Target, in_memory, in_rocksdb) {
  std::mt19937 random{16};
  in_memory source;
  apply(source.db(), random_state(random, 5, 30));
  std::vector<group_chunk> chunks{chunk_of(source.db(), 5, {}, 2'000)};
  while (!chunks.back().last)
    chunks.push_back(chunk_of(source.db(), 5, chunks.back().next, 2'000));
  REQUIRE(chunks.size() > 20);
  in_memory changed;  // the first row is another one, the last chunks are the same
  apply(changed.db(), random_state(random, 5, 0));
  for (const auto& range : state_ranges(5))
    if (range.in != family::meta)
      for (const auto& [key, value] :
           walk(source.db(), range.in, range.keys.lower, range.keys.upper)) {
        write_set writes;
        writes.put(range.in, key, value);
        apply(changed.db(), writes);
      }
  Target target;
  const auto into = begin_import(target.db(), 5);
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    CHECK_FALSE(into->complete());
    if (i + 1 < chunks.size())
      CHECK(code_of(into->add(chunks[i + 1].bytes)) == errc::conflict);
    if (i > 0) {
      CHECK(into->add(chunks[random() % i].bytes));
      auto position = decode_position(chunks[i - 1].next);
      position->digest = digest128{};  // of other rows before
      const auto foreign = chunk_of(changed.db(), 5, encode(*position), 2'000);
      CHECK(code_of(into->add(foreign.bytes)) == errc::conflict);
    }
    CHECK(into->position() == (i == 0 ? "" : chunks[i - 1].next));
    REQUIRE(into->add(chunks[i].bytes));
    CHECK(into->position() == chunks[i].next);
  }
  CHECK(into->complete());
  CHECK(into->add(chunks.back().bytes));
  CHECK(into->add(chunks.front().bytes));
  REQUIRE(into->install({}));
  CHECK(all_of(target.db(), 5) == expected_of(source.db(), 5));
}

TEST_CASE_TEMPLATE("group_import: one that is dropped, or begun anew, leaves nothing behind",
                   Target, in_memory, in_rocksdb) {
  std::mt19937 random{17};
  in_memory source;
  apply(source.db(), random_state(random, 5, 30));
  Target target;
  apply(target.db(), random_state(random, 5));
  const auto before = all_of(target.db(), 5);
  for (int round = 0; round < 3; ++round) {
    const auto dropped = begin_import(target.db(), 5);
    REQUIRE(dropped->add(chunk_of(source.db(), 5, {}, 10'000).bytes));
    if (round == 2)
      take_all(source.db(), *dropped);
  }
  CHECK(all_of(target.db(), 5) == before);
  const auto one = begin_import(target.db(), 5);
  const auto other = begin_import(target.db(), 5);
  take_all(source.db(), *one);
  take_all(source.db(), *other);
  REQUIRE(one->install({}));
  REQUIRE(other->install({}));
  CHECK(all_of(target.db(), 5) == expected_of(source.db(), 5));
}

TEST_CASE_TEMPLATE(
  "group_import: keys that were taken in are written and erased like any others, through restarts",
  Target, in_memory, in_rocksdb) {
  // What single_erase may meet is what RocksDB is picky about: keys that the old state put or erased, in either way,
  // and that are put once again by the import.
  std::mt19937 random{18};
  memory_store model;
  Target target;
  const auto both = [&](const write_set& writes) {
    apply(model, writes);
    apply(target.db(), writes);
  };
  const auto key = [](std::uint64_t number) { return keys::numbered(5, {"order", "a"}, number); };
  std::set<std::uint64_t> present;  // of the mailbox: put once, then single_erase
  for (int round = 0; round < 12; ++round) {
    CAPTURE(round);
    for (int step = 0; step < 30; ++step) {
      write_set writes;
      const auto number = random() % 40;
      if (present.erase(number) != 0)
        writes.single_erase(family::mailbox, key(number));
      else if (present.insert(number).second)
        writes.put(family::mailbox, key(number), random_value(random));
      if (random() % 3 == 0)
        writes.erase(family::snapshot, key(random() % 40));
      else
        writes.put(family::snapshot, key(random() % 40), random_value(random));
      both(writes);
      if (random() % 15 == 0)
        target.restart();
    }
    if (round % 3 == 1) {
      memory_store source;
      write_set state;
      present.clear();
      for (std::uint64_t number = 0; number < 40; ++number) {
        if (random() % 2 == 0) {
          present.insert(number);
          state.put(family::mailbox, key(number), random_value(random));
        }
        if (random() % 2 == 0)
          state.put(family::snapshot, key(number), random_value(random));
      }
      apply(source, state);
      copy_group(source, model, 5);
      copy_group(source, target.db(), 5, {}, 1 + random() % 50'000);
    }
    CHECK(all_of(target.db(), 5) == all_of(model, 5));
    for (std::uint64_t number = 0; number < 40; ++number)
      CHECK(read(target.db(), family::mailbox, key(number)) ==
            read(model, family::mailbox, key(number)));
    const auto range = keys::group(5);
    CHECK(walk(target.db(), family::mailbox, range.lower, range.upper, true) ==
          walk(model, family::mailbox, range.lower, range.upper, true));
  }
}

TEST_CASE_TEMPLATE("group_import: what is written to the group before the install goes", Target,
                   in_memory, in_rocksdb) {
  in_memory source;
  write_set few;
  few.put(family::run, keys::group(5).lower + "run", "value");
  apply(source.db(), few);
  Target target;
  auto into = begin_import(target.db(), 5);
  std::mt19937 random{22};
  apply(target.db(), random_state(random, 5));  // families of which nothing is taken in, too
  REQUIRE(into->add(chunk_of(source.db(), 5, {}, 1).bytes));
  REQUIRE(into->complete());
  apply(target.db(), random_state(random, 5));
  apply(target.db(), random_log(random, 5));
  write_set books;
  put_log_state(5, {1, 2}, books);
  REQUIRE(into->install(books));
  into.reset();
  for (int time = 0; time < 2; ++time) {
    CHECK(all_of(target.db(), 5) == expected_of(source.db(), 5, {}, books));
    target.restart();
  }
}

TEST_CASE_TEMPLATE("group_import: other groups are written meanwhile", Target, in_memory,
                   in_rocksdb) {
  std::mt19937 random{19};
  in_memory source;
  apply(source.db(), random_state(random, 5, 60));
  Target target;
  apply(target.db(), random_state(random, 5, 60));
  const auto into = begin_import(target.db(), 5);
  std::atomic<bool> staged{false};
  std::uint64_t written = 0;
  status installed = ok_status();
  std::thread writer([&] {
    for (; !staged || written < 50; ++written) {
      write_set writes;
      writes.put(family::journal, keys::numbered(4, {"order", "a"}, written), "value");
      writes.put(family::log, keys::group(5).lower + std::to_string(written), "value");
      if (!target.db().write(writes, written % 10 == 0))
        std::abort();
    }
    installed = into->install({});
  });
  take_all(source.db(), *into, 3'000);
  staged = true;
  writer.join();
  REQUIRE(installed);
  CHECK(all_of(target.db(), 5) == expected_of(source.db(), 5));
  const auto range = keys::group(4);
  CHECK(walk(target.db(), family::journal, range.lower, range.upper).size() == written);
}

TEST_CASE(
  "group_import: in memory an install that fails changes nothing, one that does not is durable") {
  std::mt19937 random{20};
  memory_store source;
  apply(source, random_state(random, 5));
  memory_store target;
  apply(target, random_state(random, 5));
  const auto before = all_of(target, 5);
  {
    const auto into = begin_import(target, 5);
    take_all(source, *into);
    target.fail_next_write(errc::io_failure);
    CHECK(code_of(into->install({})) == errc::io_failure);
  }
  CHECK(all_of(target, 5) == before);
  copy_group(source, target, 5);
  target.crash();
  CHECK(all_of(target, 5) == expected_of(source, 5));
}

TEST_CASE("group_import: a store that takes in nothing says so") {
  memory_store under;
  watched_store plain{under};
  CHECK(plain.import_group(1).error().code == errc::not_available);
}
