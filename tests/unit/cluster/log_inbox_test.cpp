#include "cluster/log_inbox.hpp"

#include <thread>

#include <doctest/doctest.h>

using namespace holdfast;

namespace {

constexpr std::chrono::milliseconds at_once{0};
constexpr std::chrono::seconds for_long{60};

/// No new event: it has the reserve.
std::shared_ptr<const turn_record> small_record() {
  auto out = std::make_shared<turn_record>();
  out->facts.push_back(agent_deleted{});
  return out;
}

log_inbox::received messages_of(consensus::node_id from, std::size_t count) {
  return {from, std::vector<codec::group_message>(count), {}};
}

}  // namespace

TEST_CASE("log_inbox: records are taken for the term that is open, and in their order") {
  log_inbox inbox{10, 1'000'000, 10};
  CHECK(inbox.propose(1, 5, small_record()).error().code == errc::not_leader);
  inbox.open(1, 5);
  CHECK(inbox.propose(1, 4, small_record()).error().code == errc::not_leader);
  CHECK(inbox.propose(0, 5, small_record()).error().code == errc::not_leader);
  CHECK(inbox.propose(2, 5, small_record()).error().code == errc::not_leader);
  const auto first = small_record();
  const auto second = small_record();
  REQUIRE(inbox.propose(1, 5, first));
  REQUIRE(inbox.propose(1, 5, second));
  inbox.close(1);
  CHECK(inbox.propose(1, 5, small_record()).error().code == errc::not_leader);
  CHECK(inbox.propose(1, 0, small_record()).error().code == errc::not_leader);
  log_inbox::batch got;
  REQUIRE(inbox.next(got, at_once));
  REQUIRE(got.proposals.size() == 2);
  CHECK(got.proposals[0].record == first);
  CHECK(got.proposals[1].record == second);
  CHECK(got.proposals[1].term == 5);
  CHECK(inbox.refused() == 0);
}

TEST_CASE("log_inbox: records count until their outcome is known, not until they are fetched") {
  log_inbox inbox{1, 1'000'000, 10};
  inbox.open(0, 1);
  REQUIRE(inbox.propose(0, 1, small_record()));
  REQUIRE(inbox.propose(0, 1, small_record()));
  log_inbox::batch got;
  REQUIRE(inbox.next(got, at_once));
  CHECK(inbox.propose(0, 1, small_record()).error().code == errc::overloaded);
  CHECK(inbox.refused() == 1);
  inbox.release(1, got.proposals[0].bytes);
  CHECK(inbox.propose(0, 1, small_record()));
}

TEST_CASE("log_inbox: messages beyond the bound are dropped, and what holds them is let go") {
  log_inbox inbox{1, 1, 3};
  auto held = std::make_shared<int>();
  inbox.receive(messages_of(1, 2));
  inbox.receive({2, std::vector<codec::group_message>(2), held});
  CHECK(held.use_count() == 1);
  inbox.receive(messages_of(3, 1));
  log_inbox::batch got;
  REQUIRE(inbox.next(got, at_once));
  REQUIRE(got.messages.size() == 2);
  CHECK(got.messages[1].from == 3);
  got.clear();
  CHECK(got.empty());
  inbox.receive(messages_of(2, 3));
  REQUIRE(inbox.next(got, at_once));
  CHECK(got.messages.size() == 1);
}

TEST_CASE("log_inbox: whoever waits for something gets it when it comes") {
  log_inbox inbox{1, 1, 1};
  std::thread other{[&] { inbox.post([](consensus::raft_host&, std::uint64_t) {}); }};
  log_inbox::batch got;
  CHECK(inbox.next(got, for_long));
  CHECK(got.tasks.size() == 1);
  other.join();
}

TEST_CASE("log_inbox: when it is stopped it takes and gives nothing, and nobody waits") {
  log_inbox inbox{10, 1'000'000, 10};
  inbox.open(0, 1);
  REQUIRE(inbox.propose(0, 1, small_record()));
  std::thread other{[&] { inbox.stop(); }};
  log_inbox::batch got;
  while (inbox.next(got, for_long))
    got.clear();
  other.join();
  CHECK(got.empty());
  CHECK(inbox.propose(0, 1, small_record()).error().code == errc::not_leader);
  auto held = std::make_shared<int>();
  inbox.receive({1, std::vector<codec::group_message>(1), held});
  inbox.post([held](consensus::raft_host&, std::uint64_t) {});
  CHECK(held.use_count() == 1);
}
