#include "cluster/group_proposals.hpp"

#include <doctest/doctest.h>

using namespace holdfast;

namespace {

proposal waiting_one(std::size_t bytes, bool is_cut = false) {
  auto record = std::make_shared<turn_record>();
  if (is_cut)
    record->facts.push_back(backup_cut{7});
  else
    record->facts.push_back(agent_deleted{});
  return {std::move(record), bytes, 1, 1};
}

}  // namespace

TEST_CASE("group_proposals: an entry holds what waits in its order, up to its bound") {
  group_proposals all;
  CHECK(all.next() == nullptr);
  for (int i = 0; i < 3; ++i)
    all.wait(waiting_one(40));
  const auto first = all.next()->record;
  auto packed = all.pack(100);
  CHECK(packed.records.size() == 2);
  CHECK(packed.records.front() == first);
  CHECK(packed.bytes == 80);
  CHECK(all.pack(100).records.size() == 2);  // they wait until they are appended
  all.appended(10, std::move(packed));
  CHECK(all.pack(100).records.size() == 1);
}

TEST_CASE("group_proposals: a single record is never too large for an entry") {
  group_proposals all;
  all.wait(waiting_one(1'000));
  all.wait(waiting_one(1));
  CHECK(all.pack(100).records.size() == 1);
}

TEST_CASE("group_proposals: a backup cut is the last of its entry") {
  group_proposals all;
  all.wait(waiting_one(1));
  all.wait(waiting_one(1, true));
  all.wait(waiting_one(1));
  CHECK(all.pack(100).records.size() == 2);
}

TEST_CASE("group_proposals: what was appended is taken by its index, once") {
  group_proposals all;
  all.wait(waiting_one(5));
  const auto record = all.next()->record;
  all.appended(10, all.pack(100));
  CHECK(all.next() == nullptr);
  CHECK_FALSE(all.take(9));
  const auto taken = all.take(10);
  REQUIRE(taken);
  CHECK(taken->records.front() == record);
  CHECK(taken->bytes == 5);
  CHECK_FALSE(all.take(10));
}

TEST_CASE("group_proposals: what is dropped is counted, and was not taken before") {
  group_proposals all;
  for (int i = 0; i < 3; ++i) {
    all.wait(waiting_one(10));
    all.appended(static_cast<std::uint64_t>(i), all.pack(100));
  }
  REQUIRE(all.take(1));
  all.wait(waiting_one(7));
  const auto waited = all.drop_waiting(0);
  CHECK(waited.records == 1);
  CHECK(waited.bytes == 7);
  all.wait(waiting_one(8));
  const auto rest = all.drop_all();
  CHECK(rest.records == 3);
  CHECK(rest.bytes == 28);
  CHECK(all.next() == nullptr);
  CHECK_FALSE(all.take(0));
  CHECK(all.drop_all().records == 0);
}

TEST_CASE(
  "group_proposals: what an earlier term was given does not take with it what the next one was") {
  group_proposals all;
  all.wait(waiting_one(1));
  auto next = waiting_one(5);
  next.term = 2;
  all.wait(next);
  const auto dropped = all.drop_waiting(2);
  CHECK(dropped.records == 1);
  CHECK(dropped.bytes == 1);
  REQUIRE(all.next() != nullptr);
  CHECK(all.next()->record == next.record);
}
