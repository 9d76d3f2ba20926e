#pragma once
// The parts of a node, for the files that make it up: node (its life), node_commits (what the log tells), node_cluster
// (what it is among others), node_report (what it says of itself). Private to them.

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "actors/catalog.hpp"
#include "actors/commit_feed.hpp"
#include "actors/shard.hpp"
#include "cluster/backup_keeper.hpp"
#include "cluster/cluster_member.hpp"
#include "cluster/key_keeper.hpp"
#include "cluster/local_backend.hpp"
#include "cluster/node.hpp"
#include "cluster/worker_thread.hpp"
#include "persistence/local_log.hpp"
#include "runtime/core/apply.hpp"
#include "runtime/core/llm_loop.hpp"
#include "runtime/gateway/gateway.hpp"
#include "runtime/host/crash_slots.hpp"
#include "runtime/host/sha256.hpp"
#include "runtime/native/native_behaviour.hpp"
#include "runtime/net/http_server.hpp"

namespace holdfast {

/// Of the wall clock.
time_us wall_now();

struct actor_config : caf::actor_system_config {
  actor_config() {
    add_message_types<caf::id_block::holdfast>();
    set("scheduler.policy", caf::atom("sharing"));  // facts/caf.md §3
    set("scheduler.max-threads", std::max<std::size_t>(2, std::thread::hardware_concurrency()));
    set("scheduler.max-throughput", std::size_t{200});
    set("logger.verbosity", caf::atom("quiet"));
  }
};

/// Members are in the order of their making; they end in the opposite one.
struct node::impl : commit_listener {
  options opts;
  std::shared_ptr<node_services> services = std::make_shared<node_services>();
  std::unique_ptr<store> disk;
  std::unique_ptr<crash_slots> handlers;
  std::set<agent_name> suspects;
  std::map<group_id, std::vector<crash_slots::crashed>> crashed;  // told to the next shard of each
  std::unique_ptr<secret_store> secrets;
  key_keeper known_keys;
  fact_machine machine{4'096, sha256};
  catalog_view definitions;
  shard_directory shards;
  commit_feed feed;
  request_table requests{1};
  llm_loop llm;
  std::unique_ptr<native_behaviour> native;
  echo_behaviour echo;
  loop_behaviour loop;
  std::unique_ptr<net::http_client> http;
  std::unique_ptr<actor_config> actor_settings;
  std::unique_ptr<caf::actor_system> actors;
  catalog_actor catalogue;
  std::mutex catalogue_mutex;
  std::unique_ptr<worker_thread> slow;
  std::unique_ptr<local_log> own_log;      // of a node that is alone,
  std::unique_ptr<cluster_member> member;  // or of one of several
  std::shared_ptr<backup_keeper> backups;
  std::unique_ptr<local_backend> behind;
  std::unique_ptr<gateway> front;
  std::unique_ptr<net::http_server> server;
  std::unique_ptr<ticker> ticks;
  std::atomic<std::size_t> shards_started{0};
  std::atomic<bool> draining{false};
  time_us started_at = 0;
  unsigned ticks_done = 0;  // the ticker's thread only, as the next
  std::uint64_t refusals_told = 0;

  explicit impl(options o) : opts(std::move(o)), known_keys(opts.config.auth) {}

  // ---- commit_listener: on the log's thread
  void leading(group_id group, std::uint64_t term) override;
  void committed(group_id group, std::uint64_t, std::uint64_t index,
                 std::vector<std::shared_ptr<const turn_record>> records) override;
  void cut(group_id group, std::uint64_t epoch, std::uint64_t index) override;
  void followed(group_id group, std::uint64_t index,
                std::vector<std::shared_ptr<const turn_record>> records) override;
  void replaced(group_id group) override;
  void lost(group_id group, std::uint64_t, errc) override;

  void lead_catalog(std::uint64_t term);
  void see_members(const std::vector<std::shared_ptr<const turn_record>>& records);
  void read_definitions_of(std::uint64_t index);
  void read_definitions();
  /// False: the group is not led here.
  bool cut_here(group_id group, std::uint64_t epoch);
  catalog_actor catalog_owner();
  const behaviour* behaviour_of(const compiled_agent& spec) const;

  status open_folder();
  void fill_services();
  status join_cluster();
  void keep_backups();
  status start_log();
  gateway_options gateway_settings();
  status listen();
  void reload();
  void tick();
  void warn_of_certificates() const;
  node_status report() const;
  std::vector<metric_value> measure() const;
};

}  // namespace holdfast
