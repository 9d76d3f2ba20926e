#include "cluster/raft_store.hpp"

#include <doctest/doctest.h>

#include <map>
#include <random>

#include "persistence/keys.hpp"
#include "persistence/log_state.hpp"
#include "persistence/memory_store.hpp"
#include "schemas/codec_consensus.hpp"

using namespace holdfast;
using namespace holdfast::consensus;

namespace {

constexpr group_id stored_group_id = 7;

consensus::entry made_entry(std::uint64_t term, std::string data = "data") {
  return {term, entry_kind::command, std::make_shared<const std::string>(std::move(data))};
}

snapshot_metadata made_metadata(std::uint64_t index, std::uint64_t term) {
  return {index, term, {{{1, "one:1", role::voter}}}, 1};
}

log_write appended(std::uint64_t first, std::uint64_t count, std::uint64_t term,
                   std::uint64_t truncate_from = 0) {
  log_write out;
  out.group = stored_group_id;
  out.truncate_from = truncate_from;
  out.first = first;
  for (std::uint64_t i = 0; i < count; ++i)
    out.entries.push_back(made_entry(term, "entry " + std::to_string(first + i)));
  return out;
}

log_write trimmed(std::uint64_t index, std::uint64_t term, std::uint64_t erase_before) {
  log_write out;
  out.group = stored_group_id;
  out.snapshot = made_metadata(index, term);
  out.erase_before = erase_before;
  return out;
}

log_write installed(std::uint64_t index, std::uint64_t term) {
  log_write out;
  out.group = stored_group_id;
  out.install = 5;
  out.snapshot = made_metadata(index, term);
  return out;
}

/// A store with one group in it, and what its writer knows of that.
struct one_group {
  memory_store db;
  stored_range range;
  std::size_t erased = 0;  ///< keys of the last write

  void write(const log_write& w, std::size_t budget = 4096,
             std::optional<log_state> applied = std::nullopt) {
    write_set out;
    erase_budget erases{budget};
    consensus::put(w, range, out, erases);
    if (applied)
      put_applied(stored_group_id, applied->applied, applied->term, out);
    commit(out);
  }
  void tidy(std::size_t budget = 4096) {
    write_set out;
    erase_budget erases{budget};
    erase_leftovers(stored_group_id, range, out, erases);
    commit(out);
  }
  void applied(std::uint64_t index, std::uint64_t term) {
    write_set out;
    put_applied(stored_group_id, index, term, out);
    commit(out);
  }
  void put(family in, std::string key, std::string value) {
    write_set out;
    out.put(in, std::move(key), std::move(value));
    commit(out);
  }
  void erase(family in, std::string key) {
    write_set out;
    out.erase(in, std::move(key));
    commit(out);
  }
  loaded_group load() {
    auto out = consensus::load(db, stored_group_id);
    INFO((out ? std::string{} : out.error().context));
    REQUIRE(out);
    return std::move(*out);
  }
  std::string refusal() {
    const auto out = consensus::load(db, stored_group_id);
    REQUIRE_FALSE(out);
    CHECK(out.error().code == errc::corrupt);
    CHECK(out.error().context.find("group 7") != std::string::npos);
    return out.error().context;
  }

private:
  void commit(const write_set& out) {
    erased = 0;
    for (const auto& op : out.ops())
      erased += op.in == family::log && op.what == write_op::kind::erase;
    REQUIRE(db.write(out, true));
  }
};

bool says(const std::string& text, std::string_view what) {
  CAPTURE(text);
  CAPTURE(std::string{what});
  const bool found = text.find(what) != std::string::npos;
  CHECK(found);
  return found;
}

bool same_entries(const std::vector<consensus::entry>& a, const std::vector<consensus::entry>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.term == y.term && x.kind == y.kind && *x.data == *y.data;
  });
}

std::vector<std::pair<std::uint64_t, std::uint64_t>> sorted(const std::vector<log_range>& ranges) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> indexes;
  for (const auto& r : ranges)
    for (auto i = r.first; i <= r.last; ++i)
      indexes.emplace_back(i, i);
  std::sort(indexes.begin(), indexes.end());
  return indexes;
}

/// What is written must be what is read, and what the writer believes must be so.
void check_same(one_group& stored, const stored_group& model) {
  const auto found = stored.load();
  CHECK(found.stored.hard == model.hard);
  CHECK(found.stored.snapshot == model.snapshot);
  CHECK(found.stored.first_index == model.first_index);
  CHECK(found.stored.applied == model.applied);
  CHECK(same_entries(found.stored.entries, model.entries));
  CHECK(found.range.log == stored.range.log);
  CHECK(found.range.is_marked == stored.range.is_marked);
  CHECK(sorted(found.range.leftovers) == sorted(stored.range.leftovers));
  CHECK(stored.db.size(family::log) ==
        model.entries.size() + sorted(stored.range.leftovers).size());
}

}  // namespace

TEST_CASE("raft_store: a group that was never written is all zero") {
  one_group stored;
  check_same(stored, {});
}

TEST_CASE("raft_store: a new group is read as it was written") {
  one_group stored;
  const auto group = new_group({{{1, "one:1", role::voter}, {2, "two:1", role::standby}}});
  log_write first;
  first.group = stored_group_id;
  first.hard = group.hard;
  first.first = 1;
  first.entries = group.entries;
  stored.write(first);
  check_same(stored, group);
  CHECK_FALSE(stored.range.is_marked);
}

TEST_CASE(
  "raft_store: a shorter tail takes the place of a longer one, and nothing of that is left") {
  one_group stored;
  stored.write(appended(1, 10, 1));
  stored.write(appended(4, 2, 2, 4));
  CHECK(stored.erased == 5);  // 6 to 10: 4 and 5 are written over
  CHECK(stored.db.size(family::log) == 5);
  const auto found = stored.load();
  REQUIRE(found.stored.entries.size() == 5);
  CHECK(found.stored.entries[2].term == 1);
  CHECK(found.stored.entries[3].term == 2);
  CHECK(found.range == stored.range);
}

TEST_CASE("raft_store: no write erases more keys than its budget, and later ones erase the rest") {
  one_group stored;
  stored.write(appended(1, 100, 1));
  stored.applied(90, 1);
  stored.write(trimmed(90, 1, 81), 30);
  CHECK(stored.erased == 30);
  CHECK(stored.range.is_marked);
  CHECK(stored.db.size(family::log) == 70);
  CHECK(stored.load().stored.first_index == 81);
  stored.write(appended(101, 1, 1), 30);
  CHECK(stored.erased == 30);
  CHECK(stored.load().stored.entries.size() == 21);
  stored.tidy();
  CHECK(stored.erased == 20);
  CHECK_FALSE(stored.range.is_marked);
  CHECK(stored.load().range == stored.range);
  CHECK(stored.db.size(family::log) == 21);
  stored.tidy();
  CHECK(stored.erased == 0);
}

TEST_CASE("raft_store: groups that write together share the budget") {
  write_set out;
  erase_budget budget{10};
  stored_range a{{1, 8}, {}, false};
  stored_range b{{1, 8}, {}, false};
  auto w = trimmed(8, 1, 9);
  put(w, a, out, budget);
  w.group = 8;
  put(w, b, out, budget);
  CHECK(budget.left == 0);
  CHECK(a.leftovers.empty());
  CHECK(sorted(b.leftovers).size() == 6);
}

TEST_CASE("raft_store: a truncation that is not erased yet does not come back") {
  one_group stored;
  stored.write(appended(1, 20, 1));
  stored.write(appended(5, 1, 2, 5), 0);
  CHECK(stored.db.size(family::log) == 20);
  auto found = stored.load();
  CHECK(found.stored.entries.size() == 5);
  CHECK(found.stored.entries.back().term == 2);
  stored.range = found.range;  // as after a restart
  stored.write(appended(6, 3, 2), 4);
  CHECK(stored.load().stored.entries.size() == 8);
  CHECK(stored.db.size(family::log) == 16);
  stored.tidy();
  CHECK(stored.db.size(family::log) == 8);
  found = stored.load();
  CHECK(found.stored.entries.size() == 8);
  CHECK(found.stored.entries.back().term == 2);
}

TEST_CASE("raft_store: an installed snapshot takes the place of a log far behind it") {
  one_group stored;
  stored.write(appended(1, 50, 1));
  stored.write(installed(1'000'000, 3), 10, log_state{3, 1'000'000});
  auto found = stored.load();
  CHECK(found.stored.first_index == 1'000'001);
  CHECK(found.stored.entries.empty());
  CHECK(found.stored.snapshot == made_metadata(1'000'000, 3));
  stored.range = found.range;
  stored.write(appended(1'000'001, 2, 3), 10);
  stored.tidy();
  CHECK(stored.erased == 30);  // and not what lies between
  found = stored.load();
  CHECK(found.stored.entries.size() == 2);
  CHECK(stored.db.size(family::log) == 2);
  CHECK(found.range == stored.range);
}

TEST_CASE("raft_store: an installed snapshot takes the place of a log that is longer") {
  one_group stored;
  stored.write(appended(1, 50, 1));
  stored.write(installed(30, 2), 5, log_state{2, 30});
  stored.write(appended(31, 3, 2), 0);
  const auto found = stored.load();
  CHECK(found.stored.first_index == 31);
  REQUIRE(found.stored.entries.size() == 3);
  CHECK(found.stored.entries.front().term == 2);
  stored.tidy();
  CHECK(stored.db.size(family::log) == 3);
}

TEST_CASE("raft_store: the mark of a log that an import took away goes with the snapshot") {
  one_group stored;
  stored.write(appended(1, 20, 1));
  stored.write(appended(5, 1, 2, 5), 0);
  REQUIRE(stored.range.is_marked);
  for (std::uint64_t index = 1; index <= 20; ++index)  // as an import does
    stored.erase(family::log, keys::log_entry(stored_group_id, index));
  forget_entries(stored.range);
  stored.write(installed(100, 3), 4096, log_state{3, 100});
  stored.write(appended(101, 2, 3));
  const auto found = stored.load();
  CHECK(found.stored.entries.size() == 2);
  CHECK_FALSE(found.range.is_marked);
}

TEST_CASE("raft_store: an empty log goes on after its snapshot") {
  one_group stored;
  stored.write(appended(1, 5, 1));
  stored.applied(5, 1);
  stored.write(trimmed(5, 1, 6));
  const auto found = stored.load();
  CHECK(found.stored.first_index == 6);
  CHECK(found.range == stored.range);
  stored.write(appended(6, 1, 2));
  CHECK(stored.load().stored.entries.size() == 1);
}

TEST_CASE("raft_store: what is missing is corrupt, and says where") {
  one_group stored;
  SUBCASE("an entry in the middle") {
    stored.write(appended(1, 9, 1));
    stored.erase(family::log, keys::log_entry(7, 4));
    says(stored.refusal(), "log entry 4");
  }
  SUBCASE("the first entry") {
    stored.write(appended(1, 9, 1));
    stored.erase(family::log, keys::log_entry(7, 1));
    says(stored.refusal(), "log entry 1");
  }
  SUBCASE("the first entry of a marked log") {
    stored.write(appended(1, 9, 1));
    stored.write(appended(5, 1, 2, 5), 0);
    stored.erase(family::log, keys::log_entry(7, 1));
    says(stored.refusal(), "log entry 1");
  }
  SUBCASE("the last entry of a marked log") {
    stored.write(appended(1, 9, 1));
    stored.write(appended(5, 1, 2, 5), 0);
    stored.erase(family::log, keys::log_entry(7, 5));
    says(stored.refusal(), "log entry 5");
  }
  SUBCASE("entries between snapshot and log") {
    stored.write(appended(1, 9, 1));
    stored.applied(5, 1);
    stored.write(trimmed(5, 1, 6));
    stored.erase(family::log, keys::log_entry(7, 6));
    says(stored.refusal(), "log entry 6");
  }
  SUBCASE("entries that the snapshot was made of") {
    stored.write(appended(1, 9, 1));
    stored.applied(9, 1);
    stored.write(trimmed(9, 1, 3));
    stored.erase(family::log, keys::log_entry(7, 9));
    says(stored.refusal(), "log entry 9");
  }
}

TEST_CASE("raft_store: bytes that do not parse or are newer are corrupt, and say where") {
  one_group stored;
  stored.write(appended(1, 3, 1));
  stored.write(trimmed(1, 1, 1), 0, log_state{1, 1});
  SUBCASE("an entry") {
    stored.put(family::log, keys::log_entry(7, 2), "\x01xx");
    says(stored.refusal(), "log entry 2");
  }
  SUBCASE("a newer entry") {
    auto bytes = codec::encode(made_entry(1));
    bytes.front() = codec::format_version + 1;
    stored.put(family::log, keys::log_entry(7, 2), bytes);
    says(stored.refusal(), "format 2");
  }
  SUBCASE("a key") {
    stored.put(family::log, keys::log_entry(7, 2) + "x", codec::encode(made_entry(1)));
    says(stored.refusal(), "a key");
  }
  SUBCASE("index 0") {
    stored.put(family::log, keys::log_entry(7, 0), codec::encode(made_entry(1)));
    says(stored.refusal(), "a key");
  }
  SUBCASE("term and vote") {
    stored.put(family::meta, keys::hard_state(7), "\x02");
    says(stored.refusal(), "term and vote");
  }
  SUBCASE("the snapshot's metadata") {
    stored.put(family::meta, keys::snapshot_metadata(7), "");
    says(stored.refusal(), "snapshot metadata");
  }
  SUBCASE("the snapshot's index") {
    stored.put(family::meta, keys::snapshot_metadata(7),
               codec::encode(made_metadata(UINT64_MAX, 1)));
    says(stored.refusal(), "snapshot metadata");
  }
  SUBCASE("the log's range") {
    stored.put(family::meta, keys::log_range(7), codec::encode(log_range{9, 3}));
    says(stored.refusal(), "log range");
    stored.put(family::meta, keys::log_range(7), codec::encode(log_range{0, 3}));
    says(stored.refusal(), "log range");
    stored.put(family::meta, keys::log_range(7), codec::encode(log_range{1, UINT64_MAX}));
    says(stored.refusal(), "log range");
  }
  SUBCASE("the applied index") {
    stored.put(family::meta, keys::log_state(7), "short");
    (void)stored.refusal();
  }
}

TEST_CASE("raft_store: a state that is not of this log is corrupt") {
  one_group stored;
  stored.write(appended(1, 3, 2));
  SUBCASE("ahead of it") {
    stored.applied(4, 2);
    says(stored.refusal(), "log entry 4");
  }
  SUBCASE("of another entry at that index") {
    stored.applied(3, 1);
    says(stored.refusal(), "term 1");
  }
  SUBCASE("behind the snapshot") {
    stored.applied(3, 2);
    stored.write(trimmed(3, 2, 2));
    stored.applied(2, 2);
    says(stored.refusal(), "log entry 3");
  }
}

TEST_CASE("raft_store: what is read equals a model after any writes, whatever is left to erase") {
  for (std::uint32_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    const auto below = [&](std::uint64_t bound) { return random() % bound; };
    one_group stored;
    stored_group model;
    std::uint64_t term = 1;
    const auto last = [&] { return model.first_index + model.entries.size() - 1; };
    const auto term_at = [&](std::uint64_t index) {
      return index >= model.first_index ? model.entries[index - model.first_index].term
                                        : model.snapshot->term;
    };
    for (int step = 0; step < 80; ++step) {
      log_write w;
      w.group = stored_group_id;
      std::optional<log_state> applied;
      const auto what = below(10);
      if (below(3) == 0)
        w.hard = model.hard = {++term, 1 + below(3)};
      if (what < 6) {
        // Append, over what is not applied in half of the cases.
        const auto keep = model.applied + below(last() - model.applied + 1);
        if (below(2) == 0 && keep < last()) {
          w.truncate_from = keep + 1;
          model.entries.resize(keep + 1 - model.first_index);
        }
        w.first = last() + 1;
        for (auto count = below(12); count > 0; --count)
          w.entries.push_back(made_entry(term, std::to_string(random())));
        model.entries.insert(model.entries.end(), w.entries.begin(), w.entries.end());
      } else if (what < 8 && last() > model.applied) {
        model.applied += 1 + below(last() - model.applied);
        applied = log_state{term_at(model.applied), model.applied};
      } else if (what == 8 && model.applied > 0 && model.applied >= model.first_index) {
        w.snapshot = model.snapshot = made_metadata(model.applied, term_at(model.applied));
        w.erase_before = model.first_index + below(model.applied + 2 - model.first_index);
        model.entries.erase(
          model.entries.begin(),
          model.entries.begin() + static_cast<std::ptrdiff_t>(w.erase_before - model.first_index));
        model.first_index = w.erase_before;
      } else if (what == 9 && below(3) == 0) {
        w.install = 1;
        model.applied += 1 + below(40);
        w.snapshot = model.snapshot = made_metadata(model.applied, term);
        applied = log_state{term, model.applied};
        model.entries.clear();
        model.first_index = model.applied + 1;
      }
      const auto budget = below(2) == 0 ? 0 : below(20);
      stored.write(w, budget, applied);
      CHECK(stored.erased <= budget);
      check_same(stored, model);
      if (below(8) == 0)
        stored.range = stored.load().range;
    }
    while (!stored.range.leftovers.empty())
      stored.tidy(7);
    check_same(stored, model);
    CHECK_FALSE(stored.range.is_marked);
  }
}
