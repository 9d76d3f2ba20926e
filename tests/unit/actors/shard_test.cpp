#include "tests/unit/actors/actor_fixture.hpp"

namespace holdfast {

TEST_CASE_FIXTURE(actor_fixture,
                  "shard: an echo is answered with its run's end, after one commit") {
  const auto before = log.count().groups;
  send({"echo", "a"}, R"({"x":1})", 7, true);
  scheduler.run();
  CHECK(told.empty());  // nothing leaves before the commit
  settle();
  REQUIRE(told.size() == 1);
  const auto* end = std::get_if<run_answer>(&told.front().second);
  REQUIRE(end != nullptr);
  CHECK(told.front().first.id == 7);
  CHECK(end->end.output == R"({"x":1})");
  CHECK(end->end.summary.status == run_status::completed);
  CHECK(log.count().groups == before + 1);
}

TEST_CASE_FIXTURE(actor_fixture, "shard: a loop of ten steps takes eleven commits") {
  const auto before = log.count().records;
  send({"loop", "a"}, R"({"steps":10})", 1, true);
  settle();
  REQUIRE(told.size() == 2);  // accepted with the first commit, the end with the last
  CHECK(std::holds_alternative<accepted_event>(told.front().second));
  const auto* end = std::get_if<run_answer>(&told.back().second);
  REQUIRE(end != nullptr);
  CHECK(end->end.output == R"({"steps":10})");
  CHECK(log.count().records == before + 11);
}

TEST_CASE_FIXTURE(actor_fixture, "shard: events of one agent are run in order, one at a time") {
  for (std::uint64_t i = 1; i <= 20; ++i)
    send({"echo", "a"}, std::to_string(i), i, true);
  settle();
  REQUIRE(told.size() == 20);
  for (std::size_t i = 0; i < told.size(); ++i)
    CHECK(std::get<run_answer>(told[i].second).end.output == std::to_string(i + 1));
}

TEST_CASE_FIXTURE(actor_fixture, "shard: an unknown type is refused and nothing is stored") {
  const auto before = log.count().records;
  send({"nobody", "a"}, "1", 3, false);
  settle();
  REQUIRE(told.size() == 1);
  CHECK(std::get<error>(told.front().second).code == errc::unknown_type);
  CHECK(log.count().records == before);
}

TEST_CASE_FIXTURE(actor_fixture, "shard: a new term finds an agent where the old one left it") {
  send({"echo", "a"}, "1", 1, true);
  settle();
  REQUIRE(log.depose(1, false));
  scheduler.run();
  REQUIRE(log.lead(1));
  settle();
  send({"echo", "a"}, "2", 2, true);
  settle();
  REQUIRE(told.size() == 2);
  CHECK(std::get<run_answer>(told.back().second).end.output == "2");
}

TEST_CASE_FIXTURE(actor_fixture,
                  "shard: one that hears late that its term is over leaves its successor alone") {
  const auto old = shards.find(1);
  route_request late;
  late.sent.type = "test";
  late.sent.source = "/test";
  late.from = {1, 1};
  caf::anon_send(old, atom::route_v, std::move(late));  // before it hears of its end
  REQUIRE(log.depose(1, false));
  REQUIRE(log.lead(1));
  settle();
  REQUIRE(shards.find(1));
  CHECK(shards.find(1) != old);
  send({"echo", "a"}, "2", 2, true);
  settle();
  REQUIRE(told.size() == 1);
  CHECK(std::get<run_answer>(told.back().second).end.output == "2");
}

}  // namespace holdfast
