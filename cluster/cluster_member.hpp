#pragma once
// What a node is beside its own shards when it is one of several: the link to its peers, the log that they agree on, and
// the requests that one of them must answer. The composition root gives it what it needs and takes it apart.

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster/cluster_identity.hpp"
#include "cluster/definition_barrier.hpp"
#include "cluster/leader_spread.hpp"
#include "cluster/member_changes.hpp"
#include "cluster/peers_heard.hpp"
#include "cluster/replicated_log.hpp"
#include "cluster/request_forwarder.hpp"
#include "cluster/worker_thread.hpp"
#include "runtime/core/feature_levels.hpp"
#include "runtime/gateway/cluster_view.hpp"
#include "runtime/host/config_cluster.hpp"
#include "runtime/net/peer_link.hpp"

namespace holdfast {

class cluster_member final : public consensus_peers {
public:
  struct parts {
    cluster_config config;
    std::string node;
    std::string version;
    std::uint16_t partitions = partitions_default;
    store* disk = nullptr;
    state_machine* machine = nullptr;
    commit_listener* listener = nullptr;
    std::function<time_us()> wall_now;
    /// For the shard of its target here; called on the link's thread, must not block.
    std::function<void(link::outbox_delivery&&)> deliver;
    /// For the shard of its source here.
    std::function<void(const link::outbox_receipt&)> receipt;
    std::function<void(net::http_request&&, std::shared_ptr<const principal>, net::responder)>
      serve;
    std::function<void(net::http_request&&, std::shared_ptr<const principal>, std::int64_t stale_ms,
                       net::responder)>
      serve_stale;
    std::function<bool()> draining;
    node_roles roles = node_roles::both;
    feature_levels features = features_of_this_release;
    /// To whoever leads group 0 here, from its own ticker: its state should say so.
    std::function<void(member_change)> change;
    /// The group is to end its part of the backup of that epoch, when it is led here.
    std::function<void(const link::cut_request&)> cut;
    /// This node is no member any more: it must end. Any thread, once.
    std::function<void()> removed;
  };

  explicit cluster_member(parts p);
  ~cluster_member() override;

  /// Makes the log and the rest; nothing runs yet. Errors: of the store.
  status prepare();
  /// Takes part from now on; `commands` takes what other nodes send. Errors: of the log,
  /// `unavailable` (the link's address), `schema` (its certificates).
  status start(backend& commands);
  /// Reads the link's certificate files again, for connections from then on; says in the log what came of it.
  void reload_certificates();
  std::optional<std::int64_t> certificate_expires_s() const {
    return link_->certificate_expires_s();
  }
  /// Lets others lead what this node leads, for at most that long; then leaves.
  void stop(std::chrono::milliseconds limit);

  commit_log& log() noexcept { return *log_; }
  std::uint64_t log_applied(group_id group) const noexcept { return log_->applied(group); }
  const std::shared_ptr<request_forwarder>& others() const noexcept { return others_; }

  // ---- from shards to those on other nodes; any thread. What does not arrive is sent again by its outbox.
  void send(link::outbox_delivery message);
  void send(const link::outbox_receipt& receipt);
  /// To whoever leads the group.
  void send(const link::cut_request& request);

  /// From the log, on its thread.
  void send(consensus::node_id to, std::vector<codec::group_message> messages) override;

  /// From the log's thread: definitions have changed, and will be read. What this node says of its definitions waits.
  void definitions_change() noexcept { definitions_.change(); }
  /// They are read, as of that index of group 0 at least. Any thread, once for each `definitions_change`.
  void definitions_read(std::uint64_t index);
  /// Calls back when every node that is up has the definitions that are committed here, or after
  /// two seconds.
  void when_defined(std::function<void()> then);

  /// This node leads the group, and a majority has heard it within the lease.
  bool leads(group_id group) const noexcept { return log_->leads(group); }
  /// Group 0 has other members now. On the log's thread.
  void read_members();
  /// What the first leader of group 0 has to record: those that formed the cluster.
  form_cluster formed_by() const { return {directory_->told()}; }
  /// Waiting to be what it shall be in every group.
  bool is_joining() const;
  /// Every group has a leader that this node knows.
  bool has_leaders() const;
  cluster_view view() const;
  void measure(std::vector<metric_value>& out) const;
  const std::string& address() const noexcept { return p_.config.advertise; }

  // ---- what operators ask for; any thread
  /// 0: no peer's name.
  consensus::node_id peer_id(std::string_view name) const;
  /// Leads nothing, as long as another can, until told otherwise or the process ends. Errors: `conflict`, when it has
  /// no peers.
  status set_cordoned(bool cordoned);
  /// Each group is best led by one of its members, in turn; a member that is up and has caught up gets what is its own.
  /// The others even out what those that cannot would lead.
  void spread_leaders();

private:
  // ---- cluster_member: its life
  static std::int64_t steady_ms();
  net::peer_link::options link_settings() const;
  std::unique_ptr<snapshot_exchange> make_exchange();
  std::shared_ptr<request_forwarder> make_forwarder();
  replicated_log_options log_settings() const;
  void tick();

  // ---- cluster_link: what goes over it
  net::link_verdict admit(const net::link_hello& peer);
  void peer_up(const net::link_hello& peer);
  void end_removed();
  bool send_frame(consensus::node_id to, const link_frame& frame);
  void received(std::string_view node, net::link_frame&& frame);
  void tell_status();
  void take_status(std::string_view node, link::node_status&& said);

  // ---- cluster_duties: what it does again and again
  bool is_leaving() const;
  void choose_peers();
  wanted_members members_wanted() const;
  voter_plan voters_planned(const std::vector<group_standing>& standings) const;
  void change_members();
  void record_settings();
  void judge_clock();
  leading_candidates candidates() const;
  void give(const std::vector<leader_transfer>& what);
  std::size_t lead_elsewhere();

  // ---- cluster_report: what it says to people
  void log_members();
  cluster_node_view view_of(consensus::node_id id, const known_node& node,
                            const std::vector<group_standing>& standings,
                            const peers_heard::table& heard) const;

  const parts p_;
  const consensus::node_id self_;
  cluster_identity identity_;
  std::unique_ptr<member_directory> directory_;
  std::unique_ptr<net::peer_link> link_;
  std::unique_ptr<snapshot_exchange> snapshots_;
  std::unique_ptr<replicated_log> log_;
  std::shared_ptr<request_forwarder> others_;
  std::unique_ptr<ticker> ticks_;
  unsigned ticks_done_ = 0;  // the ticker's thread only, as the next
  unsigned clock_off_checks_ = 0;
  bool clock_is_off_ = false;
  std::map<std::string, std::string> peers_chosen_;
  std::map<std::string, std::string> memberships_logged_;
  std::set<std::string> refusals_logged_;
  std::atomic<bool> leaving_{false};
  std::atomic<bool> cordoned_{false};
  std::atomic<bool> removed_{false};
  peers_heard heard_;
  definition_barrier definitions_;

  mutable std::mutex mutex_;
  std::map<std::string, std::string, std::less<>> folders_;  // of peers, for ever
};

}  // namespace holdfast
