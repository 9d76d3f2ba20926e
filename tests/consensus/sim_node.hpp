#pragma once
// The shell of one consensus host: its disk, its state machines, its clients' proposals. Does what
// a real shell does, in fake time.

#include <memory>

#include "tests/consensus/sim_disk.hpp"

namespace holdfast::sim {

class world;

class node {
public:
  node(world& in, node_id id);

  void create(group_id group, const consensus::configuration& members);
  void boot();
  void crash();
  void stop_until(std::uint64_t at) { stopped_until_ = at; }
  void destroy();  ///< with its disk, for ever

  bool up() const { return host_ != nullptr; }
  bool gone() const { return gone_; }
  node_id id() const { return id_; }
  std::uint64_t life() const { return life_; }
  std::uint64_t stopped_until() const { return stopped_until_; }
  std::uint64_t clock() const;  ///< its own, in ms
  const consensus::raft_host& host() const { return *host_; }

  void tick();
  void receive(group_id group, node_id from, const consensus::message& body);
  /// A client's command. Gives whether it was appended.
  bool propose(group_id group, std::uint64_t id, std::uint64_t padding);
  void transfer(group_id group, node_id to);
  void add_member(group_id group, node_id who, consensus::role as = consensus::role::voter);
  void remove_member(group_id group, node_id who);
  bool changing(group_id group) const { return groups_.at(group).changing; }

  std::uint64_t leading_term(group_id group) const { return groups_.at(group).leading_term; }
  bool leads(group_id group) const;
  const machine& state(group_id group) const { return groups_.at(group).state; }
  const machine* pinned(std::uint64_t snapshot_id) const;
  /// How the last change that was asked of this node ended; `internal`: it has not.
  errc change_outcome(group_id group) const { return groups_.at(group).change_outcome; }
  bool installing() const;

private:
  struct proposal {
    std::uint64_t term = 0;
    std::uint64_t id = 0;
  };
  struct group_state {
    machine state;
    std::uint64_t leading_term = 0;
    std::map<std::uint64_t, proposal> proposed;  // by index
    std::vector<consensus::entries_committed> to_apply;
    bool changing = false;
    errc change_outcome = errc::internal;
  };
  struct held {
    std::uint64_t batch = 0;
    consensus::outgoing message;
  };

  void drain();
  void write(consensus::write_batch batch);
  void sync();
  void synced(std::uint64_t mark, std::uint64_t batch);
  void send(const consensus::outgoing& m);
  void handle(const consensus::event& e);
  void handle_committed(const consensus::entries_committed& told);
  void apply(group_id group);
  void lose(group_id group, std::uint64_t term);
  void fetch(const consensus::install_wanted& wanted);
  void check_leadership(group_id group);

  world& in_;
  const node_id id_;
  const std::uint64_t clock_offset_;
  const std::int64_t clock_drift_ppm_;
  disk disk_;
  bool gone_ = false;
  std::uint64_t life_ = 0;
  std::uint64_t stopped_until_ = 0;
  std::unique_ptr<consensus::raft_host> host_;
  std::map<group_id, group_state> groups_;
  std::vector<held> held_;
  std::uint64_t durable_ = 0;     // batch number
  std::uint64_t sync_batch_ = 0;  // newest that asks for a sync
  bool syncing_ = false;
  std::map<std::uint64_t, std::pair<group_id, machine>> pinned_;
  std::map<std::uint64_t, machine> fetched_;
};

}  // namespace holdfast::sim
