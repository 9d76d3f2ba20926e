#include "persistence/group_export.hpp"

#include "tests/unit/persistence/group_fixture.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

std::string hex_of(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out += digits[static_cast<std::uint8_t>(c) >> 4];
    out += digits[static_cast<std::uint8_t>(c) & 15];
  }
  return out;
}

/// Refuses to read one family.
struct half_broken_reader final : reader {
  struct nothing final : cursor {
    bool valid() const override { return false; }
    std::string_view key() const override { return {}; }
    std::string_view value() const override { return {}; }
    void next() override {}
    status state() const override { return error{errc::io_failure, "as the test says"}; }
  };
  result<std::optional<std::string>> get(family in, std::string_view key) const override {
    return under.get(in, key);
  }
  std::unique_ptr<cursor> scan(family in, std::string_view lower, std::string_view upper,
                               bool descending) const override {
    if (in == family::timer)
      return std::make_unique<nothing>();
    return under.scan(in, lower, upper, descending);
  }
  memory_store under;
};

}  // namespace

TEST_CASE("group_export: the bytes of a chunk and the digest never change") {
  memory_store db;
  write_set writes;
  writes.put(family::meta, keys::partition_state(258), "p");
  writes.put(family::outbox, keys::group(258).lower + "o", "value");
  apply(db, writes);
  CHECK(hex_of(hash_of_state(db, 258).view()) == "9404d2be3cd2d8d35f72e488c3bf9fd6");
  const auto first = chunk_of(db, 258, {}, 1);
  CHECK(hex_of(first.bytes) == "0100010200000000000000000300000001010201706279300bd95cf5fd");
  const auto second = chunk_of(db, 258, first.next, 1);
  CHECK(hex_of(second.bytes) ==
        "0101010200000014a21822ec94d2cc903c39e44fb9553318000102010900000003000000050102"
        "6f76616c756566316163754fa21d");
  CHECK(second.last);
  CHECK(hash_of_state(db, 1) == digest128{});
}

TEST_CASE("group_export: the digest tells states apart, and not how they came about") {
  std::mt19937 random{1};
  const auto state = random_state(random, 7);
  memory_store one;
  apply(one, state);
  const auto hash = hash_of_state(one, 7);
  memory_store other;
  apply(other, random_state(random, 6));
  apply(other, random_state(random, 8));
  apply(other, random_log(random, 7));
  for (auto at = state.ops().rbegin(); at != state.ops().rend(); ++at) {
    write_set writes;
    writes.put(at->in, at->key, "before");
    writes.put(at->in, at->key, at->value);
    apply(other, writes);
  }
  CHECK(hash_of_state(other, 7) == hash);
  for (const auto& op : state.ops()) {
    write_set writes;
    writes.put(op.in, op.key, op.value + "x");
    apply(other, writes);
    CHECK(hash_of_state(other, 7) != hash);
    writes.clear();
    writes.erase(op.in, op.key);
    apply(other, writes);
    CHECK(hash_of_state(other, 7) != hash);
    writes.clear();
    writes.put(op.in, op.key, op.value);
    apply(other, writes);
  }
  CHECK(hash_of_state(other, 7) == hash);
}

TEST_CASE("group_export: chunks keep to their size, but for a larger row, which is alone") {
  std::mt19937 random{2};
  memory_store db;
  apply(db, random_state(random, 3, 40));
  std::size_t all = 0;
  {
    const auto chunk = chunk_of(db, 3, {}, SIZE_MAX);
    CHECK(chunk.last);
    all = read_chunk(chunk.bytes)->rows.size();
    CHECK(all > 100);
  }
  for (const std::size_t bytes_max : {1UL, 100UL, 1'000UL, 4'096UL, 100'000UL}) {
    CAPTURE(bytes_max);
    std::size_t seen = 0;
    std::string position;
    for (bool last = false; !last;) {
      const auto chunk = chunk_of(db, 3, position, bytes_max);
      const auto view = read_chunk(chunk.bytes);
      REQUIRE(view);
      CHECK(view->from == position);
      CHECK(view->last == chunk.last);
      CHECK((chunk.bytes.size() <= bytes_max || view->rows.size() == 1));
      REQUIRE(!view->rows.empty());
      seen += view->rows.size();
      position = chunk.next;
      last = chunk.last;
    }
    CHECK(seen == all);
    CHECK(decode_position(position)->digest == hash_of_state(db, 3));
    const auto end = chunk_of(db, 3, position, bytes_max);
    CHECK(end.last);
    CHECK(end.next == position);
    CHECK(read_chunk(end.bytes)->rows.empty());
  }
}

TEST_CASE("group_export: an empty group is one chunk without rows") {
  memory_store db;
  std::mt19937 random{3};
  apply(db, random_state(random, 1));
  apply(db, random_log(random, 2));
  apply(db, random_state(random, 3));
  const auto chunk = chunk_of(db, 2);
  CHECK(chunk.last);
  CHECK(chunk.next.empty());
  CHECK(read_chunk(chunk.bytes)->rows.empty());
}

TEST_CASE("group_export: what cannot be read is said, not left out") {
  half_broken_reader db;
  CHECK(export_chunk(db, 1).error().code == errc::io_failure);
  CHECK(state_hash(db, 1).error().code == errc::io_failure);
}

TEST_CASE("group_export: a position that does not parse is refused") {
  memory_store db;
  CHECK(export_chunk(db, 1, "x").error().code == errc::malformed);
  CHECK(export_chunk(db, 1, std::string(16, 'x')).error().code == errc::malformed);
  CHECK(chunk_of(db, 1, std::string(17, '\xFF')).last);
}

TEST_CASE("group_export: a damaged chunk is refused, whichever bit it is, and one cut short") {
  memory_store db;
  write_set writes;
  writes.put(family::journal, keys::group(9).lower + "key", "value");
  writes.put(family::run, keys::group(9).lower + "key", "value");
  apply(db, writes);
  const auto good = chunk_of(db, 9, chunk_of(db, 9, {}, 1).next).bytes;
  REQUIRE(read_chunk(good));
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    auto bad = good;
    bad[bit / 8] = static_cast<char>(static_cast<std::uint8_t>(bad[bit / 8]) ^ (1U << bit % 8));
    const auto view = read_chunk(bad);
    REQUIRE(!view);
    CHECK(view.error().code == errc::corrupt);
  }
  for (std::size_t size = 0; size < good.size(); ++size)
    CHECK_FALSE(read_chunk(std::string_view(good).substr(0, size)));
  CHECK_FALSE(read_chunk(good + 'x'));
}
