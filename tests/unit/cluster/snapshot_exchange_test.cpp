#include "cluster/snapshot_exchange.hpp"

#include <doctest/doctest.h>
#include <condition_variable>

#include "persistence/keys.hpp"
#include "persistence/memory_store.hpp"

using namespace holdfast;

namespace {

constexpr consensus::node_id asking = 1;
constexpr consensus::node_id giving = 2;

/// Two ends in one process; what either sends waits until the test lets it through.
struct exchange_pair {
  exchange_pair() {
    write_set state;
    for (group_id group = 1; group <= 2; ++group)
      state.put(family::meta, keys::partition_state(group), "state");
    REQUIRE(from.write(state, true));
  }

  link::snapshot_chunk answer_to(const link::snapshot_request& request) {
    giver.received(asking, request);
    std::unique_lock lock{mutex};
    REQUIRE(changed.wait_for(lock, std::chrono::seconds{20}, [&] { return !answers.empty(); }));
    auto out = std::move(answers.front());
    answers.pop_front();
    return out;
  }
  bool has_ended(group_id group) {
    std::unique_lock lock{mutex};
    return changed.wait_for(lock, std::chrono::seconds{20}, [&] { return ended.contains(group); });
  }

  memory_store from, to;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<link::snapshot_chunk> answers;
  std::vector<link::snapshot_request> requests;
  std::map<group_id, bool> ended;
  std::function<void(const link::snapshot_request&)> on_request;  ///< of the next one
  std::atomic<std::int64_t> now_ms = 1;

  snapshot_exchange giver{{&from,
                           [this](consensus::node_id, const link_frame& frame) {
                             const std::lock_guard lock{mutex};
                             answers.push_back(std::get<link::snapshot_chunk>(frame));
                             changed.notify_all();
                             return true;
                           },
                           [](group_id, std::uint64_t, bool) {}, [this] { return now_ms.load(); }}};
  snapshot_exchange asker{{&to,
                           [this](consensus::node_id, const link_frame& frame) {
                             const auto& request = std::get<link::snapshot_request>(frame);
                             requests.push_back(request);
                             if (const auto call = std::exchange(on_request, {}))
                               call(request);
                             return true;
                           },
                           [this](group_id group, std::uint64_t, bool fetched) {
                             const std::lock_guard lock{mutex};
                             ended[group] = fetched;
                             changed.notify_all();
                           },
                           [this] { return now_ms.load(); }}};
};

consensus::install_wanted wanted(group_id group, std::uint64_t snapshot) {
  consensus::install_wanted out;
  out.group = group;
  out.snapshot_id = snapshot;
  out.from = giving;
  return out;
}

}  // namespace

TEST_CASE("snapshot_exchange: a chunk that comes while it is asked for again is taken once") {
  exchange_pair at;
  for (group_id group = 1; group <= 2; ++group)
    at.asker.fetch(wanted(group, *at.giver.pin(group, asking)));
  REQUIRE(at.requests.size() == 2);
  const auto second = at.requests[1];
  const auto late = at.answer_to(second);
  REQUIRE(late.last);

  at.now_ms += snapshot_exchange::answer_ms_max + 1;
  at.on_request = [&](const link::snapshot_request& again) {
    CHECK(again.group != second.group);
    at.asker.received(giving, link::snapshot_chunk{late});
    REQUIRE(at.has_ended(second.group));
    CHECK(at.asker.take(second.snapshot_id));
  };
  at.asker.tick();
  CHECK(at.requests.size() == 3);  // of the first alone
  CHECK(at.ended.at(second.group));
}
