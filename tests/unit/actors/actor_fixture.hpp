#pragma once
// Actors on CAF's test coordinator: no thread, a virtual clock, an in-memory log that is cranked by hand.

#include <caf/all.hpp>
#include <caf/scheduler/test_coordinator.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <vector>

#include "actors/catalog.hpp"
#include "actors/commit_feed.hpp"
#include "actors/shard.hpp"
#include "persistence/memory_log.hpp"
#include "persistence/memory_store.hpp"
#include "runtime/core/apply.hpp"
#include "runtime/core/llm_loop.hpp"
#include "runtime/native/native_behaviour.hpp"

namespace holdfast {

struct test_actor_config : caf::actor_system_config {
  test_actor_config() {
    add_message_types<caf::id_block::holdfast>();
    set("scheduler.policy", caf::atom("testing"));
    set("logger.verbosity", caf::atom("quiet"));
  }
};

/// One partition on one node.
struct actor_fixture : commit_listener {
  test_actor_config config;
  caf::actor_system system{config};
  caf::scheduler::test_coordinator& scheduler =
    dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  memory_store disk;
  fact_machine machine;
  memory_log log{disk, machine, *this};
  shard_directory shards;
  catalog_view definitions;
  commit_feed feed;
  echo_behaviour echo;
  loop_behaviour loop;
  llm_loop llm;
  time_us clock = 1'000'000;
  std::vector<std::pair<request_ref, answer>> told;
  std::shared_ptr<node_services> services = std::make_shared<node_services>();

  actor_fixture() {
    services->partitions = 1;
    services->log = &log;
    services->records = &disk;
    services->shards = &shards;
    services->definitions = &definitions;
    services->now = [this] { return clock; };
    services->behaviour_of = [this](const compiled_agent& spec) -> const behaviour* {
      return spec.def.type == "echo"   ? static_cast<const behaviour*>(&echo)
             : spec.def.type == "loop" ? static_cast<const behaviour*>(&loop)
                                       : &llm;
    };
    services->tell = [this](const request_ref& to, answer what) {
      told.emplace_back(to, std::move(what));
    };
    services->publish = [this](std::shared_ptr<const turn_record> record) { feed.publish(record); };
    services->shard_ended = [this](const shard_actor& shard, group_id group, errc) {
      shards.remove(group, shard);
    };
    auto known = load_catalog(disk, {});
    REQUIRE(known);
    definitions.set(*known);
    REQUIRE(log.lead(1));
    settle();
  }

  ~actor_fixture() override {
    for (auto& shard : shards.all())
      caf::anon_send_exit(shard, caf::exit_reason::kill);
    shards.clear();
    scheduler.run();
  }

  void leading(group_id group, std::uint64_t term) override {
    shards.put(group, spawn_shard(system, services, group, term));
  }
  void committed(group_id group, std::uint64_t, std::uint64_t index,
                 std::vector<std::shared_ptr<const turn_record>> records) override {
    if (auto shard = shards.find(group))
      caf::anon_send(shard, atom::commit_v, committed_group{index, std::move(records)});
  }
  void lost(group_id group, std::uint64_t, errc) override {
    const auto shard = shards.find(group);
    shards.remove(group, shard);
    caf::anon_send(shard, atom::lost_v);
  }

  /// Runs actors and commits until nothing moves.
  void settle() {
    for (;;) {
      scheduler.run();
      const auto done = log.step(1'024);
      REQUIRE(done);
      if (*done == 0)
        return;
    }
  }

  void send(const agent_name& to, std::string data, std::uint64_t request, bool until_end) {
    deliver_event deliver;
    deliver.event.type = "test";
    deliver.event.data = std::move(data);
    caf::anon_send(shards.find(1), atom::submit_v,
                   submit_request{to, {deliver, {1, request}, until_end, {}, {}}});
  }
};

}  // namespace holdfast
