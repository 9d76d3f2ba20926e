#pragma once
// A node without threads: it notes what the gateway asks for and answers when told to. What is
// committed goes through the real state machine into a store in memory.

#include <algorithm>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "persistence/memory_store.hpp"
#include "runtime/core/apply.hpp"
#include "runtime/gateway/backend.hpp"
#include "runtime/host/sha256.hpp"

namespace holdfast::testing {

inline constexpr time_us test_time = 1'790'000'000'000'000;  // 2026-09-21T13:33:20Z

class fake_node final : public backend {
public:
  fake_node();

  // ---- what the gateway asked for
  struct submitted {
    agent_name to;
    command cmd;
    std::optional<idempotency> once;
    bool until_end = false;
    answer_function tell;
    audit_note audit;
  };
  struct routed {
    event what;
    std::string verified;
    std::optional<idempotency> once;
    answer_function tell;
    event_sender sender;
  };
  struct forked_off {
    agent_name from;
    seq_no at = 0;
    std::string to_key;
    answer_function tell;
    audit_note audit;
  };
  struct applied {
    std::vector<definition_change_request> wanted;
    bool dry_run = false;
    answer_function tell;
    audit_note audit;
  };
  struct settled {
    event_id id;
    bool redrive = false;
    answer_function tell;
    audit_note audit;
  };
  std::vector<submitted> submits;
  std::vector<routed> routes;
  std::vector<forked_off> forks;
  std::vector<applied> applies;
  std::vector<settled> settles;
  struct member_changed {
    member_change wanted;
    audit_note audit;
    answer_function tell;
  };
  std::vector<member_changed> member_changes;  ///< the test answers
  std::vector<audit_recorded> audits;  ///< told to be durable at once; not part of `untouched`
  std::function<void()> on_audit;      ///< before that; null: nothing
  /// Nothing of the above happened.
  bool untouched() const {
    return submits.empty() && routes.empty() && forks.empty() && applies.empty() &&
           settles.empty() && member_changes.empty();
  }

  /// Answers every submitted command at once; null: the test answers.
  std::function<answer(const submitted&)> at_once;

  // ---- what is on disk
  memory_store disk;
  fact_machine machine{4'096, sha256};
  /// Commits a turn of the agent and tells those who listen. Returns the seq of its first fact.
  seq_no commit(const agent_name& name, std::vector<fact> facts);
  /// The same without telling anybody.
  seq_no commit_silently(const agent_name& name, std::vector<fact> facts);
  /// Facts of a partition.
  void commit_to(group_id group, std::vector<fact> facts);
  group_id group(const agent_name& name) const { return group_of(name, partitions_count); }
  agent_state state_of(const agent_name& name) const;
  /// Defines an agent type of that many versions; `echo` is native.
  void define(const std::string& type, std::uint32_t versions = 1);
  void define_hook(const std::string& canonical_json);

  std::shared_ptr<catalog> known = std::make_shared<catalog>();
  std::uint16_t partitions_count = 4;
  time_us clock = test_time;
  node_status now_status{true, false, {}, "n1", "0.1.0", 0};
  // ---- its cluster: none, as long as there is no view
  std::optional<cluster_view> cluster_now;
  std::vector<bool> cordons;  ///< told; a view is changed by the test
  std::size_t spreads = 0;
  std::shared_ptr<backup_job>
    backup;  ///< that may be taken, once; null: another one is being taken
  /// Every group is led by another node.
  bool led_elsewhere = false;
  struct carried {
    std::string peer;  ///< empty: whoever leads the group
    net::http_request request;
    std::shared_ptr<const principal> who;
    net::responder to;
  };
  std::vector<carried> carries;
  std::size_t listeners() const {
    const std::lock_guard lock{listeners_mutex_};
    return listeners_.size();
  }

  // ---- backend
  result<std::shared_ptr<backup_job>> begin_backup() override {
    if (!backup)
      return error{errc::conflict, "one is being taken"};
    return std::exchange(backup, nullptr);
  }
  void submit(agent_name to, command cmd, std::optional<idempotency> once, bool until_end,
              audit_note audit, answer_function tell) override;
  void route(event e, std::string verified, std::optional<idempotency> once, event_sender sender,
             answer_function tell) override;
  void fork(agent_name from, seq_no at, std::string to_key, audit_note audit,
            answer_function tell) override;
  void apply(std::vector<definition_change_request> wanted, bool dry_run, std::string by,
             audit_note audit, answer_function tell) override;
  void settle_dead_letter(event_id id, bool redrive, audit_note audit,
                          answer_function tell) override;
  void audit(audit_recorded what, answer_function tell) override;
  void wait_for(agent_name, run_id, answer_function) override {}
  std::optional<cluster_view> cluster() const override { return cluster_now; }
  bool has_peers() const override { return cluster_now.has_value(); }
  bool owns(group_id) const override { return !led_elsewhere; }
  void forward(group_id, net::http_request request, std::shared_ptr<const principal> who,
               net::responder to) override {
    carries.push_back({{}, std::move(request), std::move(who), std::move(to)});
  }
  bool is_peer(std::string_view node) const override {
    return cluster_now && node != now_status.node &&
           std::any_of(cluster_now->nodes.begin(), cluster_now->nodes.end(),
                       [&](const auto& one) { return one.id == node; });
  }
  void forward_to(std::string_view peer, net::http_request request,
                  std::shared_ptr<const principal> who, net::responder to) override {
    carries.push_back({std::string{peer}, std::move(request), std::move(who), std::move(to)});
  }
  holdfast::status set_cordoned(bool cordoned) override {
    if (!cluster_now)
      return backend::set_cordoned(cordoned);
    cordons.push_back(cordoned);
    return ok_status();
  }
  void change_member(member_change wanted, audit_note audit, answer_function tell) override {
    if (!cluster_now)
      return backend::change_member(std::move(wanted), std::move(audit), std::move(tell));
    member_changes.push_back({std::move(wanted), std::move(audit), std::move(tell)});
  }
  void spread_leaders() override { ++spreads; }
  std::shared_ptr<const catalog> definitions() const override { return known; }
  const reader& records() const override { return disk; }
  std::uint16_t partitions() const override { return partitions_count; }
  holdfast::node_status status() const override { return now_status; }
  std::vector<metric_value> metrics() const override {
    return {{"holdfast_log_records_total", {}, 7}};
  }
  time_us now() const override { return clock; }
  bool has_native(std::string_view type) const override { return type == "echo"; }
  std::uint64_t
  subscribe(agent_name to,
            std::function<void(std::shared_ptr<const turn_record>)> on_record) override;
  void unsubscribe(std::uint64_t subscription) override;

private:
  struct listener {
    std::uint64_t id;
    agent_name to;
    std::function<void(std::shared_ptr<const turn_record>)> on_record;
  };
  std::shared_ptr<const turn_record> write(const agent_name& name, std::vector<fact> facts);
  mutable std::mutex listeners_mutex_;
  std::vector<listener> listeners_;
  std::uint64_t next_listener_ = 1;
  std::uint64_t next_index_ = 1;
};

// ---- facts, with what a test does not care about filled in

/// Ids that sort by `number`, in the agent's partition.
event_id event_no(const fake_node& node, const agent_name& name, std::uint64_t number);
run_id run_no(const fake_node& node, const agent_name& name, std::uint64_t number);
/// An event of that number arrives at the agent; its run has the same number.
event_received received(const fake_node& node, const agent_name& name, std::uint64_t number,
                        std::string data = R"({"n":1})");
/// The run of the event of that number begins. `event_seq` is where its `event_received` is.
run_started started(const fake_node& node, const agent_name& name, std::uint64_t number,
                    seq_no event_seq);

}  // namespace holdfast::testing
