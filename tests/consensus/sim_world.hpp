#pragma once
// Fake time, the network between nodes, and what goes wrong.

#include <functional>
#include <queue>

#include "tests/consensus/sim_node.hpp"
#include "tests/consensus/sim_oracle.hpp"

namespace holdfast::sim {

inline constexpr std::uint32_t election_timeout_ms = 300;
inline constexpr std::uint32_t lease_ms = 270;
inline constexpr std::uint32_t heartbeat_ms = 60;
inline constexpr std::uint64_t recovery_ms_limit = 40ULL * election_timeout_ms;

class world {
public:
  world(std::uint64_t seed, defect planted, bool trace);
  void run();  ///< throws `violation`

  std::uint64_t now() const { return now_; }
  defect planted() const { return planted_; }
  consensus::host_options options(node_id self) const;
  void at(std::uint64_t when, std::function<void()> what);
  /// Done by that node in its present life, later when it is stopped.
  void on_node(node_id who, std::uint64_t delay_ms, std::function<void(node&)> what);
  void send(node_id from, const consensus::outgoing& m);
  bool reaches(node_id from, node_id to) const { return !blocked_.contains({from, to}); }
  node& at_node(node_id id) { return *nodes_.at(id); }
  const std::map<node_id, std::unique_ptr<node>>& nodes() const { return nodes_; }
  const std::vector<group_id>& groups() const { return groups_; }

  /// Part of the digest, and of the trace.
  void note(std::string_view what, std::uint64_t a = 0, std::uint64_t b = 0, std::uint64_t c = 0);
  std::uint64_t digest() const { return digest_; }

  chance luck;
  oracle truth;
  counters count;
  std::uint64_t sync_ms_max = 6;
  std::uint64_t crash_on_write_per_mille =
    0;  ///< of terms, votes and configurations, just before they are durable
  bool troubled() const { return troubled_; }
  void crash_soon(node_id who);
  std::uint64_t next_id = 1;  ///< of commands and snapshots
  std::vector<std::pair<group_id, std::uint64_t>>
    unknown;  ///< commands that clients may send again

private:
  struct timed {
    std::uint64_t when = 0;
    std::uint64_t order = 0;
    std::function<void()> what;
    bool operator<(const timed& other) const {
      return std::pair{when, order} > std::pair{other.when, other.order};
    }
  };
  struct network {
    std::uint64_t drop_per_mille = 0;
    std::uint64_t late_per_mille = 0;
    std::uint64_t duplicate_per_mille = 0;
    std::uint64_t delay_ms_max = 4;
  };

  void run_until(std::uint64_t when, const std::function<bool()>& done = {});
  void check_leases();
  void tick(node_id who);
  void client();
  void trouble();
  void operate();
  void boot(node& n);
  void crash_some();
  void partition();
  void fade();
  void stop_one();
  void replace_one();
  void transfer(node& leader, group_id group, node_id to);
  void cut(std::vector<std::pair<node_id, node_id>> links, std::uint64_t ms);
  bool may_lose_one(bool settled) const;
  void heal();
  void recover();
  bool recovered(group_id group);
  void change_once_more();
  std::string describe(group_id group) const;  ///< for the text of a violation
  node* random_up();
  node* leader_of(group_id group);
  void deliver(node_id from, node_id to, const consensus::outgoing& m);

  const std::uint64_t seed_;
  const defect planted_;
  const bool trace_;
  std::uint64_t now_ = 1000;
  std::uint64_t order_ = 0;
  std::uint64_t digest_ = 0;
  std::priority_queue<timed> agenda_;
  std::map<node_id, std::unique_ptr<node>> nodes_;
  std::vector<group_id> groups_;
  std::multiset<std::pair<node_id, node_id>> blocked_;  // once for each fault that blocks it
  std::map<node_id, std::uint64_t> cut_since_;
  network network_;
  std::uint64_t crash_weight_ = 0, partition_weight_ = 0, stop_weight_ = 0, operate_weight_ = 0;
  std::uint64_t trailing_entries_ = 0;
  bool troubled_ = true;
  bool replaced_ = false;
  node_id dead_ = 0;
  node_id down_ = 0;  // while the others recover
  std::map<group_id, std::pair<std::uint64_t, std::uint64_t>>
    probe_;  // command that must be committed after healing, and when it was proposed
};

std::string address_of(node_id id);

}  // namespace holdfast::sim
