#pragma once
// libraft's struct and events with C++ lifetimes. Private to raft_core*.cpp.

#include <algorithm>
#include <cstring>
#include <vector>

#include "cluster/raft_core.hpp"
#include "cluster/raft_header.hpp"

namespace holdfast::consensus {

/// A copy that libraft takes over; every event that is given one closes it or keeps it.
inline ::raft_configuration to_c(const configuration& value) {
  ::raft_configuration out;
  raft_configuration_init(&out);
  for (const auto& m : value.members)
    HOLDFAST_ASSERT(
      raft_configuration_add(&out, m.id, m.address.c_str(), static_cast<int>(m.as)) == 0,
      "a configuration that libraft does not accept");
  return out;
}

inline ::raft_snapshot_metadata to_c(const snapshot_metadata& value) {
  ::raft_snapshot_metadata out{};
  out.index = value.index;
  out.term = value.term;
  out.configuration = to_c(value.members);
  out.configuration_index = value.configuration_index;
  return out;
}

struct raft_core::engine {
  struct ::raft raft {};

  explicit engine(const core_options& options) {
    HOLDFAST_ASSERT(options.self != 0 && options.election_timeout_ms > options.heartbeat_ms,
                    "a node without an id, or heartbeats too rare");
    HOLDFAST_ASSERT(raft_init(&raft, nullptr, nullptr, options.self, "-") == 0, "out of memory");
    raft.tracer = nullptr;  // it formats into a static buffer, in every step
    raft_seed(&raft, options.seed);
    raft_set_heartbeat_timeout(&raft, options.heartbeat_ms);
    raft_set_election_timeout(&raft, options.election_timeout_ms);
    raft_set_install_snapshot_timeout(&raft, options.install_snapshot_timeout_ms);
    raft_set_max_catch_up_round_duration(&raft, options.catch_up_round_ms_max);
    raft_set_max_inflight_entries(&raft, options.inflight_entries_max);
    raft_set_pre_vote(&raft, true);
  }
  ~engine() { raft_close(&raft, nullptr); }
  engine(const engine&) = delete;
  engine& operator=(const engine&) = delete;

  /// This node among the members, when it is one that libraft would not let vote.
  ::raft_server* learner(const core_options& options) noexcept {
    for (unsigned i = 0; options.workarounds.learners_vote && i < raft.configuration.n; ++i)
      if (auto& s = raft.configuration.servers[i]; s.id == options.self && s.role != RAFT_VOTER)
        return &s;
    return nullptr;
  }
};

/// One event and what it points to.
struct raft_core::step_input {
  raft_event event{};
  raft_message message{};
  std::vector<raft_entry> entries;  // as libraft sees them
  const entry* given = nullptr;     // the same, with their data
  const install_snapshot* snapshot = nullptr;
  node_id from = 0;
  bool stale = false;  // the message is of an older term

  explicit step_input(raft_event_type type) { event.type = type; }
  step_input(const step_input&) = delete;
  step_input& operator=(const step_input&) = delete;

  void address(node_id sender) {
    from = sender;
    message.server_id = sender;
    message.server_address = "-";  // libraft only hands it back
    event.receive.message = &message;
  }

  /// libraft reads the data of configurations only, so only theirs is copied, into one block as it
  /// wants it.
  void take(const entry* first, std::size_t count) {
    std::size_t bytes = 1;
    for (std::size_t i = 0; i < count; ++i)
      bytes += first[i].kind == entry_kind::change ? first[i].data->size() : 0;
    auto* block = static_cast<char*>(raft_malloc(bytes));
    HOLDFAST_ASSERT(block, "out of memory");
    given = first;
    entries.resize(count);
    auto* at = block;
    for (std::size_t i = 0; i < count; ++i) {
      auto& e = entries[i];
      e.term = first[i].term;
      e.type = static_cast<raft_entry_type>(first[i].kind);
      e.buf = {at, 0};
      e.batch = block;
      if (first[i].kind == entry_kind::change) {
        e.buf.len = first[i].data->size();
        std::memcpy(at, first[i].data->data(), e.buf.len);
        at += e.buf.len;
      }
    }
  }
};

}  // namespace holdfast::consensus
