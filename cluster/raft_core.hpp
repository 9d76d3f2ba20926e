#pragma once
// One group's Raft algorithm: libraft's I/O-free core `raft_step()` behind plain values. Everything
// that libraft 0.22.1 takes for granted (Debian's build has no assertions), leaks or gets wrong is
// dealt with here, so that nobody else has to know. It keeps the group's log in memory; libraft
// itself only sees terms and configurations.

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "cluster/raft_log.hpp"
#include "schemas/consensus.hpp"
#include "schemas/ids.hpp"

namespace holdfast::consensus {

/// What is done about libraft 0.22.1. All on; a test may switch one off to see that its defect is
/// real and is found.
struct raft_workarounds {
  /// A configuration change starts its own RAFT_RECEIVE: libraft takes the index of the first entry
  /// for its index.
  bool split_changes = true;
  /// A change shows that the one before is committed. libraft ignores RAFT_CONFIGURATION for an
  /// older index than the newest change, and would later roll back by two configurations.
  bool settle_previous_change = true;
  /// The only voter elects itself in a new term. libraft stays in the old one, in which another
  /// node may have led and in which entries that this node lost in a crash may live on elsewhere.
  bool sole_voter_new_term = true;
  /// A refused pre-vote tells the newer term. libraft always gives back the asker's own, which then
  /// never learns why it is refused: a node with the longer log and one with the newer term wait
  /// for each other for ever.
  bool tell_term_to_pre_candidate = true;
  /// The answer to a message of an older term has no index. libraft sends uninitialised memory,
  /// which a new leader of the answer's term would take for a match.
  bool clear_stale_index = true;
  /// The permission to disrupt a leader holds for one election. libraft keeps it for all later
  /// ones.
  bool disrupt_once = true;
  /// A member votes whatever role it knows of for itself: the entry that makes it a voter may be on
  /// its way. libraft's members other than voters never vote, and never forget a leader that is
  /// gone.
  bool learners_vote = true;
  /// Entries that are trimmed here are skipped. libraft takes a late message that begins with entry
  /// 1 for new entries, appends them to the end, and reads beyond the message.
  bool skip_trimmed = true;
  /// A rejection that a success has overtaken is no rejection. libraft goes back behind what it
  /// knows to match, takes the difference for entries on their way, and sends that member none for
  /// the rest of the term.
  bool ignore_late_rejection = true;
};

struct core_options {
  node_id self = 0;
  /// Whose turn it is to stand for election first differs from group to group.
  group_id group = 0;
  /// The same on all members: leases count on it. Who hears nothing for so long may vote; it stands
  /// itself when its turn comes, before twice this.
  std::uint32_t election_timeout_ms = 1000;
  std::uint32_t heartbeat_ms = 100;
  std::uint32_t install_snapshot_timeout_ms = 30'000;  ///< then the leader sends it again
  std::uint32_t catch_up_round_ms_max = 60'000;
  std::uint32_t inflight_entries_max = 4096;  ///< to one member, unanswered
  std::size_t message_bytes_max =
    1U << 20;  ///< of entries in one message, unless a single one is larger
  std::size_t entry_bytes_max = consensus::entry_bytes_max;
  std::uint32_t seed = 0;
  raft_workarounds workarounds;
};

/// What one step asks for, to be done in this order.
struct core_update {
  struct append {
    std::uint64_t first = 0;
    bool truncates = false;  ///< entries from `first` on were there before, and are void
    std::vector<entry> entries;
  };
  struct install {
    node_id from = 0;
    std::uint64_t snapshot_id = 0;
    snapshot_metadata metadata;
    std::shared_ptr<const raft_log> before;  ///< to start again with, should the snapshot not come
  };
  struct addressed {
    node_id to = 0;
    message body;
  };
  std::optional<hard_state> hard;    ///< durable before any message of this or a later step
  std::optional<append> appended;    ///< in the log already; `persisted` once durable
  std::optional<install> installed;  ///< fetch and store it, then `snapshot_persisted`
  /// An install_snapshot holds the term, and the index it must reach at least; the rest is for the
  /// caller to fill.
  std::vector<addressed> messages;
};

enum class core_state : std::uint8_t { follower, candidate, leader };

/// Not thread-safe. Times are the steady clock's, in milliseconds, and never go back. Every call
/// that may step appends what it asks for to `out`. A fault of ours ends the process; a fault of a
/// peer is a refused message.
class raft_core {
public:
  using updates = std::vector<core_update>;

  /// The only voter of a group leads when this returns. Errors: `corrupt`, when what is stored
  /// contradicts itself.
  static result<std::unique_ptr<raft_core>> start(core_options options, const stored_group& stored,
                                                  std::uint64_t now_ms, updates& out);
  ~raft_core();

  /// Elections, heartbeats, and stepping down without a quorum, when their time has come.
  void tick(std::uint64_t now_ms, updates& out);
  /// Errors: `malformed`, when no correct peer sends this; nothing has changed.
  status receive(std::uint64_t now_ms, node_id from, const message& body, updates& out);
  /// Everything up to `index`, which the log still holds as it was written, is durable.
  void persisted(std::uint64_t now_ms, std::uint64_t index, updates& out);
  /// The snapshot of `installing()` is durable, and the old log is gone.
  void snapshot_persisted(std::uint64_t now_ms, updates& out);
  /// The state holds everything up to `index`: committed configurations take effect.
  void applied(std::uint64_t now_ms, std::uint64_t index, updates& out);
  /// Forgets entries before `first_kept`; the state holds everything up to `index`.
  void trim(std::uint64_t now_ms, std::uint64_t index, std::uint64_t first_kept, updates& out);

  /// Appends one entry; gives its index. Errors: `not_leader`, also while leadership is being
  /// transferred.
  result<std::uint64_t> propose(std::uint64_t now_ms, std::shared_ptr<const std::string> data,
                                updates& out);
  /// The next configuration; differs in one member from the present one. Errors: `not_leader`,
  /// `conflict`.
  result<std::uint64_t> change(std::uint64_t now_ms, const configuration& next, updates& out);
  /// True when a change may be made: the last one has taken effect, nobody catches up, and an entry
  /// of this term is committed (without which two leaders' changes can have quorums that do not
  /// overlap).
  bool can_change() const noexcept;
  enum class catch_up_state : std::uint8_t { none, running, aborted, finished };
  void catch_up(std::uint64_t now_ms, node_id member, updates& out);
  catch_up_state catch_up_of(node_id member) const noexcept;
  /// Tells a member up to where it holds what is committed. libraft itself tells it with the next
  /// entry or heartbeat. Nothing, unless this node leads and knows that the member holds as much.
  void tell_commit(node_id to, updates& out) const;
  /// Lets a voter that holds the whole log take over.
  void transfer(std::uint64_t now_ms, node_id to, updates& out);
  /// A leader becomes a follower of the next term.
  void abdicate(std::uint64_t now_ms, updates& out);

  core_state state() const noexcept;
  std::uint64_t term() const noexcept;
  hard_state hard() const noexcept;
  node_id leader() const noexcept;  ///< as far as this node knows; 0: nobody
  std::uint64_t commit_index() const noexcept;
  std::uint64_t stored_index() const noexcept;               ///< reported by `persisted`
  std::uint64_t match_index(node_id member) const noexcept;  ///< 0 unless leader
  bool installing() const noexcept;
  const raft_log& log() const noexcept { return log_; }
  /// The newest, committed or not: what elections go by.
  const configuration& members() const noexcept { return log_.configuration_newest().members; }

private:
  struct engine;  // libraft's struct raft
  raft_core(core_options options, const stored_group& stored);

  struct step_input;
  int step(step_input& input, std::uint64_t now_ms, updates& out);
  void take_entries(const step_input& input, const void* update, core_update& out);
  void take_messages(const step_input& input, const void* update, core_update& out);
  void add_append_entries(core_update& out, node_id to, append_entries head,
                          std::size_t count) const;
  void check_invariants() const;
  status check_message(node_id from, const message& body) const;
  status check_append(node_id from, const append_entries& body) const;
  append_entries without_committed(const append_entries& body) const;
  void receive_append(std::uint64_t now_ms, node_id from, const append_entries& body, updates& out);
  bool receive_part(std::uint64_t now_ms, node_id from, const append_entries& body,
                    std::size_t begin, std::size_t end, updates& out);
  void receive_snapshot(std::uint64_t now_ms, node_id from, const install_snapshot& body,
                        updates& out);
  void settle_previous_change(std::uint64_t now_ms, const append_entries& body, std::size_t begin,
                              updates& out);
  void settle_change(std::uint64_t now_ms, updates& out);
  result<std::uint64_t> submit(std::uint64_t now_ms, entry value, updates& out);
  bool is_sole_voter() const noexcept;
  void take_turn(std::uint64_t now_ms);
  void forget_leader();
  void enter_new_term(updates& out);

  core_options options_;
  raft_log log_;
  std::unique_ptr<engine> engine_;
  std::uint64_t now_ms_ = 0;
  std::uint64_t commit_seen_ = 0;
  hard_state hard_seen_;
  std::uint64_t disrupt_term_ = 0;  // the one election that a leader asked this node for
  node_id gone_ = 0;                // led last, as far as this node knows
  std::uint32_t lot_ = 0;           // libraft drew it: less than the election timeout
  std::uint32_t wait_ms_ = 0;       // what was made of it
  std::optional<core_update::install> installing_;
};

}  // namespace holdfast::consensus
