#pragma once
// What a node is beside its own shards when it is one of several: the link to its peers, the log that they agree on, and
// the requests that one of them must answer. The composition root gives it what it needs and takes it apart.

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cluster/replicated_log.hpp"
#include "cluster/request_forwarder.hpp"
#include "cluster/worker_thread.hpp"
#include "runtime/gateway/cluster_view.hpp"
#include "runtime/host/config_cluster.hpp"
#include "runtime/net/peer_link.hpp"

namespace holdfast {

/// Of a node's name; the same everywhere and for ever. Never 0.
consensus::node_id node_id_of(std::string_view name);

/// A node that is alone must not write into the folder of a cluster's. Errors: `conflict`, of the reader.
status check_not_of_cluster(const reader& disk);

/// A node speaks to peers of these levels only: raised when what is stored or sent changes in a way that an older
/// release cannot read.
inline constexpr unsigned feature_level = 1;

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
  };

  explicit cluster_member(parts p);
  ~cluster_member() override;

  /// Makes the log and the rest; nothing runs yet. Errors: of the store.
  status prepare();
  /// Takes part from now on; `commands` takes what other nodes send. Errors: of the log,
  /// `unavailable` (the link's address), `schema` (its certificates).
  status start(backend& commands);
  /// Lets others lead what this node leads, for at most that long; then leaves.
  void stop(std::chrono::milliseconds limit);

  commit_log& log() noexcept { return *log_; }
  std::uint64_t log_applied(group_id group) const noexcept { return log_->applied(group); }
  const std::shared_ptr<request_forwarder>& others() const noexcept { return others_; }

  // ---- from shards to those on other nodes; any thread. What does not arrive is sent again by its outbox.
  void send(link::outbox_delivery message);
  void send(const link::outbox_receipt& receipt);

  /// From the log, on its thread.
  void send(consensus::node_id to, std::vector<codec::group_message> messages) override;

  /// This node's definitions are those of that index of group 0. Any thread.
  void definitions_read(std::uint64_t index);
  /// Calls back when every node that is up has the definitions that are committed here, or after
  /// two seconds.
  void when_defined(std::function<void()> then);

  /// This node leads the group, and a majority has heard it within the lease.
  bool leads(group_id group) const noexcept { return log_->leads(group); }
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
  bool send_frame(consensus::node_id to, const link_frame& frame);
  status open_identity();
  std::string admit(const net::link_hello& peer);
  void received(std::string_view node, net::link_frame&& frame);
  void tick();
  void tell_status();
  void tell_defined();
  time_us clock_off_us() const;
  void judge_clock();
  std::size_t lead_elsewhere();
  std::size_t led_by(const std::string& peer) const;
  bool can_lead(const std::string& peer, const group_standing& what) const;
  consensus::configuration members() const;
  std::vector<link::group_leader> found_leaders(const std::string& node) const;
  const std::string* name_of(consensus::node_id id) const;

  const parts p_;
  std::map<consensus::node_id, std::string> names_;
  consensus::node_id self_ = 0;
  std::string folder_;
  std::unique_ptr<net::peer_link> link_;
  std::unique_ptr<snapshot_exchange> snapshots_;
  std::unique_ptr<replicated_log> log_;
  std::shared_ptr<request_forwarder> others_;
  std::unique_ptr<ticker> ticks_;
  unsigned ticks_done_ = 0;  // the ticker's thread only, as the next
  unsigned clock_off_checks_ = 0;
  bool clock_is_off_ = false;
  std::atomic<bool> leaving_{false};
  std::atomic<bool> cordoned_{false};

  mutable std::mutex mutex_;
  std::map<std::string, std::string, std::less<>> folders_;  // of peers, for ever
  struct heard {
    link::node_status status;
    std::int64_t at_ms = 0;
    time_us ahead_us = 0;  ///< its wall clock, of ours
  };
  std::map<std::string, heard, std::less<>> heard_;
  struct defining {
    std::uint64_t index = 0;
    std::int64_t deadline_ms = 0;
    std::function<void()> then;
  };
  std::vector<defining> defining_;
  std::atomic<std::uint64_t> definitions_at_{0};
  std::map<group_id, std::uint64_t> terms_;  // the newest in which a peer said that it leads
};

}  // namespace holdfast
