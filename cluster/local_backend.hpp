#pragma once
// The gateway's view of this node: finds the shard that owns an agent and passes the request on.

#include <functional>
#include <set>

#include "actors/commit_feed.hpp"
#include "actors/node_services.hpp"
#include "cluster/request_forwarder.hpp"
#include "cluster/request_table.hpp"

namespace holdfast {

class backup_keeper;
class cluster_member;

class local_backend final : public backend {
public:
  struct parts {
    services_ptr services;
    request_table* requests = nullptr;
    commit_feed* feed = nullptr;
    std::function<catalog_actor()> catalog;
    std::function<node_status()> status;
    std::function<std::vector<metric_value>()> metrics;
    std::shared_ptr<request_forwarder> others;  ///< null: this node is alone
    cluster_member* member = nullptr;           ///< with others
    backup_keeper* backups = nullptr;
  };
  explicit local_backend(parts p) : p_(std::move(p)) {}

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
  void wait_for(agent_name of, run_id run, answer_function tell) override;

  std::optional<cluster_view> cluster() const override;
  bool is_peer(std::string_view node) const override;
  void forward_to(std::string_view peer, net::http_request request,
                  std::shared_ptr<const principal> who, net::responder to) override;
  holdfast::status set_cordoned(bool cordoned) override;
  void change_member(member_change wanted, audit_note audit, answer_function tell) override;
  void spread_leaders() override;
  bool has_peers() const override { return p_.others != nullptr; }
  bool owns(group_id group) const override;
  void forward(group_id group, net::http_request request, std::shared_ptr<const principal> who,
               net::responder to) override;

  result<std::shared_ptr<backup_job>> begin_backup() override;

  std::shared_ptr<const catalog> definitions() const override {
    return p_.services->definitions->get();
  }
  const reader& records() const override { return *p_.services->records; }
  std::uint16_t partitions() const override { return p_.services->partitions; }
  node_status status() const override { return p_.status(); }
  std::vector<metric_value> metrics() const override { return p_.metrics(); }
  time_us now() const override { return p_.services->now(); }
  bool has_native(std::string_view type) const override;

  std::uint64_t
  subscribe(agent_name to,
            std::function<void(std::shared_ptr<const turn_record>)> on_record) override {
    return p_.feed->subscribe(std::move(to), std::move(on_record));
  }
  void unsubscribe(std::uint64_t subscription) override { p_.feed->unsubscribe(subscription); }

private:
  group_id group_for(const agent_name& name) const {
    return group_of(name, p_.services->partitions);
  }
  /// Null when the shard is not here (yet); the caller was told.
  shard_actor shard_for(group_id group, const answer_function& tell) const;
  catalog_actor catalog_for(const answer_function& tell) const;
  error not_here() const;
  template <class Send>
  void hand_over(group_id group, const shard_actor& shard, answer_function tell, bool until_end,
                 Send send);

  parts p_;
};

}  // namespace holdfast
