#include "persistence/queue_room.hpp"

#include <doctest/doctest.h>

using namespace holdfast;

TEST_CASE("queue_room: new events are refused at the limit, the rest at twice that") {
  queue_room room{2, 1'000};
  CHECK(room.take(1, true));
  CHECK(room.take(1, true));
  CHECK(room.take(1, true).error().code == errc::overloaded);
  CHECK(room.take(1, false));
  CHECK(room.take(1, false));
  CHECK(room.take(1, false).error().code == errc::overloaded);
}

TEST_CASE("queue_room: bytes are bounded likewise") {
  queue_room room{100, 10};
  CHECK(room.take(6, true));
  CHECK_FALSE(room.take(5, true));
  CHECK(room.take(4, true));
  CHECK_FALSE(room.take(11, false));
  CHECK(room.take(10, false));
  CHECK_FALSE(room.take(1, false));
}

TEST_CASE("queue_room: a single record is never too large, and leaves no room for another") {
  queue_room room{100, 10};
  CHECK(room.take(1'000, true));
  CHECK_FALSE(room.take(1, false));
}

TEST_CASE("queue_room: what is given back can be taken again, and a refusal took nothing") {
  queue_room room{2, 10};
  REQUIRE(room.take(4, true));
  REQUIRE(room.take(6, true));
  REQUIRE_FALSE(room.take(6, true));
  room.give_back(1, 6);
  CHECK(room.take(6, true));
  CHECK_FALSE(room.take(1, true));
  room.give_back(2, 10);
  CHECK(room.take(1'000, true));
}
