#include <doctest/doctest.h>

#include "runtime/core/outbox.hpp"

using namespace holdfast;

namespace {

outbox_message to(const std::string& key) {
  outbox_message m;
  m.target = {"t", key};
  return m;
}

std::vector<std::uint64_t> due_at(outbox& box, time_us now) {
  std::vector<std::uint64_t> out;
  for (const auto& one : box.take_due(now))
    out.push_back(one.at.sequence);
  return out;
}

using numbers = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("outbox: numbers start at 1, per target, without gaps") {
  outbox box;
  CHECK(box.next_for(4) == 1);
  CHECK(box.next_for(4) == 2);
  CHECK(box.next_for(5) == 1);
  box.give_back(4, 2);
  CHECK(box.next_for(4) == 2);
  box.restore(6, 17);
  CHECK(box.next_for(6) == 17);
}

TEST_CASE("outbox: a message goes out at once, and again until it is acknowledged") {
  outbox box;
  CHECK(box.next_due() == 0);
  box.add({4, 1}, to("a"));
  CHECK(due_at(box, 1'000) == numbers{1});
  CHECK(due_at(box, 1'000).empty());
  CHECK(box.next_due() == 1'000 + 2'000'000);
  CHECK(due_at(box, 2'000'999).empty());
  CHECK(due_at(box, 2'001'000) == numbers{1});
  REQUIRE(box.find({4, 1}));
  CHECK(box.find({4, 1})->target.key == "a");
  box.acknowledged({4, 1});
  CHECK(box.size() == 0);
  CHECK(box.next_due() == 0);
  CHECK(due_at(box, 9'000'000).empty());
  CHECK_FALSE(box.holds({4, 1}));
  CHECK(box.find({4, 1}) == nullptr);
  box.acknowledged({4, 1});  // again: nothing
}

TEST_CASE("outbox: a refused message backs off, and does not hold up the others") {
  outbox box;
  box.add({4, 1}, to("full"));
  box.add({4, 2}, to("b"));
  CHECK(due_at(box, 0) == numbers{1, 2});
  box.acknowledged({4, 2});
  time_us now = 0;
  time_us wait_before = 0;
  for (int i = 0; i < 12; ++i) {
    box.refused({4, 1}, now);
    const auto wait = box.next_due() - now;
    CHECK(wait >= wait_before);
    CHECK(wait >= 50'000);
    CHECK(wait <= 5'000'000);
    wait_before = wait;
    now += wait;
    box.add({4, static_cast<std::uint64_t>(3 + i)}, to("c"));
    CHECK(due_at(box, now - 1) == numbers{static_cast<std::uint64_t>(3 + i)});
    box.acknowledged({4, static_cast<std::uint64_t>(3 + i)});
    CHECK(due_at(box, now) == numbers{1});
  }
  CHECK(wait_before == 5'000'000);
  box.refused({9, 9}, now);  // unknown: nothing
}
